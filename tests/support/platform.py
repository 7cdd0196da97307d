"""The whole platform on the in-memory bus in virtual time, with jobs inline."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support import autojump
from tests.support.autojump import LoopClock
from twintier.broker.memory import MemoryBus, MemoryHub
from twintier.cloud_twin.settings import CloudSettings
from twintier.edge_twin.settings import EdgeSettings
from twintier.launch.demo.summary import read_ledgers
from twintier.launch.deployment import Deployment, agent_runtimes
from twintier.launch.inspect.projection import View, listen
from twintier.launch.instruments import Instruments
from twintier.launch.serve import serve
from twintier.launch.settings.own import DeploymentSettings
from twintier.launch.twins import cloud_runtime, edge_runtime
from twintier.learning.adapt import AdaptationSettings
from twintier.plvn_agent.settings import AgentSettings
from twintier.plvn_agent.slot_loop import HostSettings
from twintier.plvn_agent.source import Source
from twintier.protocol.ids import EdgeId
from twintier.runtime.delivery.ledger import Messages
from twintier.runtime.jobs import InlineJobs

QUICK = AdaptationSettings(teacher_steps=20, updates=3, episodes=15, evaluation_episodes=20)
EDGE = EdgeSettings(adaptation=QUICK, evaluation_episodes=20)
CLOUD = CloudSettings(
    first_stage_iterations=20,
    iterations=5,
    category_iterations=20,
    episodes=3,
    inner_steps=1,
    planning_s=1e6,
)
SPEED = 50.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run has shown."""

    view: View
    messages: Messages
    iterations: int
    slots: int


def run_platform(
    state: Path,
    source: Source,
    *,
    slots: int,
    inmfs: Sequence[str] = DeploymentSettings().inmfs,
    speed: float = SPEED,
    cloud: CloudSettings = CLOUD,
    edge: EdgeSettings = EDGE,
    until: Callable[[View], bool] = lambda _view: False,
    instruments: Instruments = Instruments(),  # noqa: B008  # frozen
    absent: int | None = None,
) -> Outcome:
    """Run one cloud twin, two edge servers and the source's agents for so many slots.

    Slots begin when planning is over; where it waits for `absent` more PLVNs, they begin at once.
    """
    settings = replace(cloud, expected_plvns=len(source.plvns) + (absent or 0))
    host = HostSettings(speed=speed, ready_limit_s=1e9)
    driving = _Driving(source, slots, inmfs, host, wait=absent is None or DeploymentSettings().wait)
    return autojump.run(_run(state, driving, settings, edge, until, instruments))


@dataclass(frozen=True, slots=True)
class _Driving:
    """What the agents do."""

    source: Source
    slots: int
    inmfs: Sequence[str]
    host: HostSettings
    wait: bool


async def _run(  # noqa: PLR0917  # called in one place
    state: Path,
    driving: _Driving,
    cloud_settings: CloudSettings,
    edge_settings: EdgeSettings,
    until: Callable[[View], bool],
    instruments: Instruments,
) -> Outcome:
    hub, view, stop = MemoryHub(), View(), asyncio.Event()
    deployment = Deployment(
        lambda _name: MemoryBus(hub),
        LoopClock(),
        state,
        ledgers=state / "ledgers",
        instruments=instruments,
    )
    await driving.source.start()
    cloud = cloud_runtime(deployment, cloud_settings)
    edges = [
        edge_runtime(deployment, EdgeId(name), edge_settings, InlineJobs())
        for name in ("edge-1", "edge-2")
    ]
    agents = agent_runtimes(
        deployment,
        driving.source,
        AgentSettings(),
        driving.host,
        inmfs=driving.inmfs,
        wait_for_planning=driving.wait,
    )
    listening = asyncio.ensure_future(
        listen(MemoryBus(hub), "twintier", view.take, lambda topic: None)
    )

    async def ending() -> None:
        while agents.host.slots < driving.slots and not until(view):  # noqa: ASYNC110  # virtual time
            await asyncio.sleep(1.0)
        stop.set()

    watching = asyncio.ensure_future(ending())
    await serve([cloud, *edges, *agents.runtimes], stop, [agents.host.run()])
    listening.cancel()
    watching.cancel()
    await asyncio.gather(listening, watching, return_exceptions=True)
    return Outcome(
        view,
        read_ledgers(state / "ledgers"),
        cloud.meter.counts["iterations"],
        agents.host.slots,
    )
