"""The case study's adaptation on the platform: PPO-ML's epochs between a PLVN and its twin.

The twin has the meta model from a cloud twin whose library holds it, and goes the paper's pure
loop: each epoch is one `model-dispatched` to the PLVN, which explores its own episodes with it, and
one `trajectories-reported` back, which the twin learns from. Curves are drawn by one who listens.
"""

import asyncio

from twintier.cloud_twin.library import MetaModel
from twintier.cloud_twin.meta_training import MetaParameters
from twintier.cloud_twin.settings import CloudSettings
from twintier.edge_twin.mirror import trajectory_fields
from twintier.edge_twin.settings import EdgeSettings
from twintier.inmf.contract import Columns
from twintier.inmf.spec import Windows
from twintier.launch.case_study.arms import Arm, CaseStudySettings, Tick, network_of
from twintier.launch.case_study.epochs import INMF, PAPER, Curves, point
from twintier.launch.case_study.over_bus import (
    AGENT,
    EDGE,
    UNLIMITED_S,
    cloud_at,
    deployed,
    follow,
)
from twintier.launch.case_study.source import TaskSource
from twintier.launch.deployment import Deployment, agent_runtimes
from twintier.launch.twins import edge_runtime
from twintier.learning.adapt import AdaptationSettings
from twintier.learning.policy import Vector
from twintier.plvn_agent.slot_loop import HostSettings
from twintier.plvn_agent.source import PlvnProfile
from twintier.protocol.address import Address
from twintier.protocol.columns import unpack
from twintier.protocol.ids import SUPER_CATEGORY
from twintier.protocol.messages import ModelDispatched, Site, TrajectoriesReported
from twintier.protocol.messages.base import Message
from twintier.runtime.jobs import InlineJobs

ARM: Arm = "PPO-ML"
LOOKS_PER_S = 200
"""How often the PLVN looks whether there is a model that shall play."""


def adapt_over_bus(
    url: str, start: Vector, settings: CaseStudySettings, seed: int, tick: Tick
) -> Curves:
    """PPO-ML's curves on task 1, over a bus.

    Args:
        url: `memory`, `auto` for a broker that is started for it, or the URL of a broker.
        start: (n,) float32, the meta model.
        settings: of the case study.
        seed: of the adaptation.
        tick: called after each epoch.

    Raises:
        TimeoutError: if an epoch's trajectories do not come.
        BrokerStartError: if no broker can be started.
    """
    with deployed(url) as deployment:
        return asyncio.run(_adapt(deployment, start, settings, seed, tick))


class Watcher:
    """Draws the curves of what dispatched models have earned."""

    def __init__(self, settings: CaseStudySettings, tick: Tick) -> None:
        """Begin without an epoch."""
        self._policy, self._epochs, self._tick = settings.policy, settings.epochs, tick
        self._models: dict[int, Vector] = {}
        self._columns: dict[int, Columns] = {}
        self._points: dict[int, tuple[float, float]] = {}

    def seen(self, message: Message) -> bool:
        """Take a message; returns whether all epochs are there. Repeated ones change nothing."""
        match message:
            case ModelDispatched(version=version, parameters=parameters):
                self._models[version] = parameters.floats("parameters")
            case TrajectoriesReported(model_version=version):
                self._columns[version] = unpack(message.slots, trajectory_fields(PAPER))
            case _:
                pass
        for version in self._models.keys() & self._columns.keys() - self._points.keys():
            self._points[version] = point(
                self._policy, self._models[version], self._columns.pop(version)
            )
            self._tick()
        return len(self._points) >= self._epochs

    @property
    def curves(self) -> Curves:
        """The epochs so far."""
        return Curves.of([self._points[version] for version in sorted(self._points)])


async def _adapt(
    deployment: Deployment, start: Vector, settings: CaseStudySettings, seed: int, tick: Tick
) -> Curves:
    network = network_of(ARM, settings, seed)
    site = Site(city="task-1", road="any", lat_deg=0.0, lon_deg=0.0)
    source = TaskSource([PlvnProfile(network.plvn, site)], [network], settings.episodes)
    host = HostSettings(speed=source.slot_s * LOOKS_PER_S)
    agents = agent_runtimes(deployment, source, AGENT, host, inmfs=[INMF])
    meta = MetaParameters(start, settings.meta.initial_log_step_sizes(settings.policy))
    online = CloudSettings(planning_s=0.0, edges_wait_s=0.0, expected_edges=1)
    cloud, _ = cloud_at(deployment, online, meta, [_model(meta)])
    edge = edge_runtime(deployment, EDGE, _twin(settings, seed), InlineJobs())
    watcher, to = Watcher(settings, tick), Address(plvn=network.plvn, inmf=INMF)
    topics: dict[type[Message], Address] = {ModelDispatched: to, TrajectoriesReported: to}
    parts = [cloud, edge, *agents.runtimes]
    await follow(deployment, topics, parts, watcher.seen, [agents.host.run()])
    return watcher.curves


def _model(meta: MetaParameters) -> MetaModel:
    """The meta model as the library of the cloud twin that has trained it holds it."""
    return MetaModel(
        inmf=INMF,
        category=SUPER_CATEGORY,
        version=1,
        model=meta.model_id(PAPER.schema_id),
        schema_id=PAPER.schema_id,
        ancestor=SUPER_CATEGORY,
        iterations=1,
        adaptation_reward_first=0.0,
        adaptation_reward_last=0.0,
        weights=meta,
    )


def _twin(settings: CaseStudySettings, seed: int) -> EdgeSettings:
    """Twins that take one PPO update of each epoch, for so many epochs."""
    slots = settings.episodes * PAPER.spec.slots
    return EdgeSettings(
        attributes_period_s=UNLIMITED_S,
        trajectory_slots=2 * slots,
        windows=Windows(batch=slots, exchange=slots, calibration=slots),
        exchanges=settings.epochs,
        max_exchanges=settings.epochs,
        paper_loop=True,
        adaptation=AdaptationSettings(updates=1, ppo=settings.ppo),
        seed=seed,
    )
