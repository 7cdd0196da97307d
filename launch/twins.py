"""The cloud twin and edge servers, put together and run; these need the extra `twins`."""

import asyncio
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace

import numpy as np
import structlog

from twintier.cloud_twin.categories import Lattice
from twintier.cloud_twin.core import CloudCore
from twintier.cloud_twin.library import Library
from twintier.cloud_twin.meta_training import MetaParameters
from twintier.cloud_twin.planner import Blueprint, Planner
from twintier.cloud_twin.routes import routes as cloud_routes
from twintier.cloud_twin.settings import CloudSettings
from twintier.cloud_twin.store import CloudStore
from twintier.edge_twin.core import EdgeCore
from twintier.edge_twin.jobs import policy_of
from twintier.edge_twin.routes import routes as edge_routes
from twintier.edge_twin.settings import EdgeSettings
from twintier.edge_twin.store import EdgeStore
from twintier.inmf.registry import UnknownInmfError, inmf_of, installed
from twintier.launch.deployment import Deployment
from twintier.launch.exit_codes import ExitCode
from twintier.launch.roles import RoleOptions, run_role
from twintier.launch.serve import serve
from twintier.learning.errors import LearningError
from twintier.learning.policy import initial_parameters
from twintier.protocol.ids import EdgeId, InmfId
from twintier.protocol.signing import verify_key_of
from twintier.runtime.jobs import Jobs
from twintier.runtime.runtime import Runtime
from twintier.runtime.storage.sql import explained
from twintier.runtime.supervisor import Supervisor
from twintier.runtime.workers import WorkerJobs

log = structlog.get_logger()


def blueprints(settings: CloudSettings) -> Mapping[InmfId, Blueprint]:
    """Where the super model of each installed INMF starts; what cannot be loaded is left out."""
    found = {}
    for name in sorted(installed()):
        try:
            found[InmfId(name)] = _blueprint(InmfId(name), settings)
        except (UnknownInmfError, LearningError) as error:
            log.warning("inmf_left_out", inmf=name, reason=str(error))
    return found


def _blueprint(name: InmfId, settings: CloudSettings) -> Blueprint:
    inmf, policy = inmf_of(name), policy_of(name)
    start = initial_parameters(policy, np.random.default_rng(settings.seed))
    log_step_sizes = np.full_like(start, np.log(settings.initial_step_size))
    return Blueprint(
        inmf.schema_id,
        MetaParameters(start, log_step_sizes),
        former_schemas=inmf.former_schemas,
        emulated=inmf.is_emulated,
        teaches=inmf.teaches,
    )


def cloud_runtime(deployment: Deployment, settings: CloudSettings) -> Supervisor:
    """The cloud twin, with what its store remembers.

    Raises:
        StoreError: if the store cannot be used.
    """
    folder = deployment.state / "cloud"
    with explained(folder):
        store = deployment.keep(CloudStore(folder))
    start = blueprints(settings)

    def life() -> Runtime:
        with explained(folder):
            records = store.load()
        core = CloudCore(Planner(settings, start, Library(), Lattice()), settings, records)
        running = deployment.runtime_settings("cloud")
        return deployment.runtime(core, "cloud", cloud_routes(), store=store, settings=running)

    return Supervisor(life)


def edge_runtime(
    deployment: Deployment, edge: EdgeId, settings: EdgeSettings, jobs: Jobs
) -> Supervisor:
    """One edge server, with what its store remembers; its jobs are started by the caller.

    Raises:
        StoreError: if the store cannot be used.
    """
    folder = deployment.state / edge
    with explained(folder):
        kept = EdgeStore(folder, trajectory_slots=settings.trajectory_slots)
        store = deployment.keep(kept)

    def life() -> Runtime:
        with explained(folder):
            records = store.load()
        running, used = deployment.runtime_settings(edge), settings
        if running.sign_key is not None:
            used = replace(settings, verify_key=verify_key_of(running.sign_key))
        core, client = EdgeCore(edge, used, records), f"edge-{edge}"
        return deployment.runtime(
            core, client, edge_routes(edge), store=store, settings=running, jobs=jobs
        )

    return Supervisor(life)


def run_cloud(options: RoleOptions, settings: CloudSettings) -> int:
    """Run the cloud twin until a signal."""

    async def main(stop: asyncio.Event) -> int:
        with closing(options.deployment()) as deployment:
            await serve([cloud_runtime(deployment, settings)], stop)
        return ExitCode.OK

    return run_role(main)


def run_edge(options: RoleOptions, edge: EdgeId, settings: EdgeSettings) -> int:
    """Run an edge server and its workers until a signal."""

    async def main(stop: asyncio.Event) -> int:
        async with WorkerJobs(options.settings.workers) as jobs:
            with closing(options.deployment()) as deployment:
                await serve([edge_runtime(deployment, edge, settings, jobs)], stop)
        return ExitCode.OK

    return run_role(main)
