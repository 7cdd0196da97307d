"""The case study's meta training on the platform: cloud twin, edge server, agents, real messages.

The cores are those of every deployment, started fresh for one training in a folder that goes away
with it. What is special to the case study is in settings, and in where the meta model starts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from twintier.broker.bus import Bus
from twintier.broker.clock import WallClock
from twintier.broker.errors import UnavailableError
from twintier.broker.memory import MemoryBus, MemoryHub
from twintier.broker.servers.local import start_broker
from twintier.cloud_twin.categories import Lattice
from twintier.cloud_twin.core import CloudCore, CloudRecord
from twintier.cloud_twin.library import Library
from twintier.cloud_twin.meta_training import MetaParameters
from twintier.cloud_twin.planner import Blueprint, Planner
from twintier.cloud_twin.routes import routes as cloud_routes
from twintier.cloud_twin.settings import CloudSettings
from twintier.cloud_twin.store import CloudStore
from twintier.edge_twin.settings import EdgeSettings
from twintier.launch.case_study.arms import CaseStudySettings, Tick, meta_tasks, meta_training
from twintier.launch.case_study.epochs import INMF, PAPER
from twintier.launch.case_study.source import TaskSource
from twintier.launch.connection import ClientName, Connection, monitor_id
from twintier.launch.deployment import Deployment, MakeBus, agent_runtimes
from twintier.launch.inspect.connecting import is_up
from twintier.launch.serve import serve
from twintier.launch.twins import edge_runtime
from twintier.learning.policy import Vector
from twintier.plvn_agent.settings import AgentSettings
from twintier.plvn_agent.slot_loop import HostSettings
from twintier.plvn_agent.source import PlvnProfile
from twintier.protocol.address import Address
from twintier.protocol.codec import decode
from twintier.protocol.ids import SUPER_CATEGORY, EdgeId
from twintier.protocol.messages import GradientsComputed, LibraryIndexed
from twintier.protocol.messages.base import Message
from twintier.protocol.topics import category_digest, subscription
from twintier.runtime.delivery.presence import new_incarnation
from twintier.runtime.jobs import InlineJobs
from twintier.runtime.supervisor import Supervisor, SupervisorSettings

STALLED_S = 120.0
"""Longest wait for an iteration or epoch; a lost part ends the run instead of hanging it."""
EDGE = EdgeId("case-study")
UNLIMITED_S = 1e7
"""The case study ends by its iterations, never by time."""
AGENT = AgentSettings(retry_s=0.2)


def train_over_bus(
    url: str, mixture: Vector, settings: CaseStudySettings, seed: int, tick: Tick
) -> Vector:
    """PPO-ML's meta model, (n,) float32, trained over a bus.

    Args:
        url: `memory`, `auto` for a broker that is started for it, or the URL of a broker.
        mixture: (n,) float32, where it starts.
        settings: of the case study.
        seed: of the meta training.
        tick: called after each iteration.

    Raises:
        TimeoutError: if an iteration's gradients do not come.
        BrokerStartError: if no broker can be started.
    """
    with deployed(url) as deployment:
        return asyncio.run(_train(deployment, mixture, settings, seed, tick))


def check_bus(url: str) -> None:
    """Look, before anything is computed, whether somebody answers at a bus.

    Raises:
        LocalBusError: if it is no URL of a broker.
        UnavailableError: if no broker answers there.
    """
    if url not in {"memory", "auto"}:
        asyncio.run(_meet(Connection(url).watcher(), url))


async def _meet(bus: Bus, url: str) -> None:
    await bus.connect()
    try:
        if not await is_up(bus, asyncio.Event()):
            raise UnavailableError(
                f"no broker answers at {url}; start one with `twintier up broker`"
            )
    finally:
        await bus.close()


@contextmanager
def deployed(url: str) -> Iterator[Deployment]:
    """A deployment with a root of its own on the bus, and a folder that goes away with it."""
    with TemporaryDirectory() as folder, _broker_at(url) as make_bus:
        root = f"case-study-{new_incarnation()}"
        deployed_here = Deployment(make_bus, WallClock(), state=Path(folder), root=root)
        with closing(deployed_here) as deployment:
            yield deployment


@contextmanager
def _broker_at(url: str) -> Iterator[MakeBus]:
    if url == "memory":
        hub = MemoryHub()
        yield lambda _name: MemoryBus(hub)
    elif url != "auto":
        yield Connection(url).bus
    else:
        with TemporaryDirectory() as folder:
            broker = start_broker("auto", Path(folder))
            try:
                yield Connection(broker.url).bus
            finally:
                broker.stop()


def cloud_at(
    deployment: Deployment,
    settings: CloudSettings,
    start: MetaParameters,
    records: Sequence[CloudRecord] = (),
) -> tuple[Supervisor, Library]:
    """A cloud twin whose super model of the paper's INMF starts here, and its library."""
    blueprints = {INMF: Blueprint(PAPER.schema_id, start)}
    planner = Planner(settings, blueprints, Library(), Lattice())
    core = CloudCore(planner, settings, records)
    runtime = deployment.runtime(
        core,
        "cloud",
        cloud_routes(),
        store=CloudStore(deployment.state / "cloud"),
        settings=deployment.runtime_settings("cloud"),
    )
    return Supervisor(lambda: runtime, SupervisorSettings(limit=1)), planner.library


async def follow(
    deployment: Deployment,
    topics: Mapping[type[Message], Address],
    parts: Sequence[Supervisor],
    seen: Callable[[Message], bool],
    work: Sequence[Awaitable[None]] = (),
) -> None:
    """Run a deployment's parts until somebody who listens has seen enough.

    Args:
        deployment: of the parts.
        topics: what is listened to.
        parts: all of them.
        seen: told of each message; returns whether it was the last.
        work: what goes on beside them.

    Raises:
        TimeoutError: if no message comes for too long.
    """
    async with deployment.make_bus(ClientName("monitor", monitor_id())) as bus:
        await bus.subscribe(
            [subscription(kind, to, deployment.root) for kind, to in topics.items()]
        )
        watching = _watch(bus, deployment.root, seen)
        await serve(parts, asyncio.Event(), [watching, *work])


async def _watch(bus: Bus, root: str, seen: Callable[[Message], bool]) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(STALLED_S) as limit:
        async for delivery in bus.deliveries():
            message = decode(delivery.payload, delivery.topic, root).message
            await delivery.ack()
            if seen(message):
                return
            limit.reschedule(loop.time() + STALLED_S)


async def _train(
    deployment: Deployment, mixture: Vector, settings: CaseStudySettings, seed: int, tick: Tick
) -> Vector:
    start = meta_training(mixture, settings, seed)
    meta = MetaParameters(start.parameters, start.log_step_sizes)
    cloud, library = cloud_at(deployment, _planning(settings, seed), meta)
    edge = edge_runtime(deployment, EDGE, EdgeSettings(meta=settings.meta), InlineJobs())
    profiles = [PlvnProfile(task.plvn, task.site) for task in meta_tasks(settings, seed)]
    agents = agent_runtimes(deployment, TaskSource(profiles), AGENT, HostSettings(), inmfs=[INMF])

    def seen(message: Message) -> bool:
        if isinstance(message, GradientsComputed):
            tick()
        return isinstance(message, LibraryIndexed)

    digest = category_digest(SUPER_CATEGORY)
    topics: dict[type[Message], Address] = {
        GradientsComputed: Address(edge=EDGE, inmf=INMF),
        LibraryIndexed: Address(inmf=INMF, category_digest=digest),
    }
    await follow(deployment, topics, [cloud, edge, *agents.runtimes], seen)
    trained = library.get(INMF, SUPER_CATEGORY)
    assert trained is not None, "a model that is indexed is in the library"
    return trained.weights.init


def _planning(settings: CaseStudySettings, seed: int) -> CloudSettings:
    """Offline planning of one super model, from all tasks in every iteration."""
    return CloudSettings(
        n_min=settings.tasks + 1,
        tasks=settings.tasks,
        episodes=settings.meta.episodes,
        algorithm=settings.meta.algorithm,
        train_prior=False,
        inner_steps=settings.meta.inner_steps,
        first_stage_iterations=0,
        iterations=settings.meta_iterations,
        min_iterations=settings.meta_iterations,
        learning_rate=settings.meta_learning_rate,
        decay=True,
        round_deadline_s=STALLED_S,
        planning_s=UNLIMITED_S,
        edges_wait_s=0.0,
        expected_edges=1,
        expected_plvns=settings.tasks,
        seed=seed,
    )
