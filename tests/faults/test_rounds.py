"""The real cloud twin between toy edge servers and agents, on buses that fail, in virtual time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from tests.support.autojump import LoopClock, run
from tests.support.names import COOP_PERCEPTION
from tests.support.toy import status
from twintier.broker.faulty import Faults, FaultyBus
from twintier.broker.memory import MemoryBus, MemoryHub
from twintier.cloud_twin.core import CloudCore
from twintier.cloud_twin.library import MetaModel
from twintier.cloud_twin.planner import Planner
from twintier.cloud_twin.settings import CloudSettings
from twintier.launch.connection import ClientName
from twintier.launch.deployment import Deployment, MakeBus
from twintier.launch.twins import cloud_runtime
from twintier.protocol.address import Address
from twintier.protocol.ids import SUPER_CATEGORY, EdgeId, PlvnId
from twintier.protocol.messages import (
    AttributesReported,
    GradientRow,
    GradientsComputed,
    Grant,
    GrantRenewed,
    MetaRoundStarted,
    RegistrationGranted,
    RegistrationRequested,
    Site,
    TwinPlaced,
    TwinRegistered,
)
from twintier.protocol.tensors import Tensors
from twintier.runtime.build import build_runtime
from twintier.runtime.core import Input, Received, Role, Started, TimerFired
from twintier.runtime.effects import Effect, Publish, StartTimer, Subscribe
from twintier.runtime.jobs import InlineJobs
from twintier.runtime.runtime import Runtime
from twintier.runtime.settings import RuntimeSettings
from twintier.runtime.storage.store import MemoryStore
from twintier.runtime.supervisor import Supervisor

REWARDS = {"p1": 1.0, "p2": 10.0, "p3": 100.0, "p4": 1000.0}
POSSIBLE = {
    round(float(np.mean(chosen)), 3)
    for size in range(1, 5)
    for chosen in combinations(REWARDS.values(), size)
}
"""Means in which each twin counts at most once; counting one twice gives another number."""
DURATION_S = 500.0
SETTINGS = CloudSettings(
    first_stage_iterations=4,
    iterations=21,
    category_iterations=20,
    tasks=4,
    round_deadline_s=5.0,
    planning_s=480.0,
    super_share=1.0,
    expected_plvns=4,
    n_min=9,
)
FAULTS = {
    "loss": Faults(loss=0.2),
    "duplicates": Faults(duplicate=0.5, delay_s=8.0),
    "delay": Faults(delay=0.5, delay_s=8.0),
    "partitions": Faults(partition_every_s=30.0, partition_s=6.0),
    "everything": Faults(
        loss=0.1, duplicate=0.2, delay=0.2, delay_s=6.0, partition_every_s=60.0, partition_s=4.0
    ),
}


@dataclass
class ToyEdge:
    """Hosts what it is given and answers rounds at once."""

    id: str
    role: Role = "edge"
    fences: dict[str, Grant] = field(default_factory=dict)

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        assert now > 0
        match event:
            case Started() | TimerFired(key="status"):
                own = Address(edge=EdgeId(self.id))
                return [Publish(status("edge", "online"), own), StartTimer("status", 4.0)]
            case TimerFired():
                return [*map(self.attributes, self.fences), StartTimer("attributes", 10.0)]
            case Received(message=TwinPlaced() as placed):
                plvn = placed.grant.plvn
                self.fences[plvn] = placed.grant
                return [
                    Publish(TwinRegistered(grant=placed.grant), Address(plvn=plvn)),
                    self.attributes(plvn),
                    StartTimer("attributes", 10.0),
                ]
            case Received(message=MetaRoundStarted() as started):
                return [Publish(gradients(started), Address(inmf=COOP_PERCEPTION))]
            case _:
                return []

    def attributes(self, plvn: str) -> Publish:
        report = AttributesReported(
            sim_time_s=1.0,
            n_samples=1,
            hour=None,
            city="berlin",
            road="highway",
            lat_deg=None,
            lon_deg=None,
            vehicle_number=None,
            inmfs=(),
            category="city=berlin|road=highway",
        )
        return Publish(report, Address(plvn=PlvnId(plvn)), fence=self.fences[plvn].fence)

    def goodbye(self) -> Sequence[Effect]:
        return [Publish(status("edge", "offline"))]


def gradients(started: MetaRoundStarted) -> GradientsComputed:
    size = started.model.floats("init").size
    rows = np.full((len(started.plvns), size), 1e-3, np.float32)
    return GradientsComputed(
        job=started.job,
        iteration=started.iteration,
        rows=tuple(
            GradientRow(
                plvn=plvn,
                adaptation_loss=0.0,
                adaptation_reward_before=0.0,
                adaptation_reward=REWARDS[plvn],
                slots=75,
            )
            for plvn in started.plvns
        ),
        gradients=Tensors.pack({"gradient": rows, "step_size_gradient": rows}),
    )


@dataclass
class ToyAgent:
    """Asks for a grant until it has one, and keeps the newest."""

    id: str
    role: Role = "plvn"
    grant: Grant | None = None

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        assert now > 0
        match event:
            case Started() | TimerFired() if self.grant is None:
                site = Site(city="berlin", road="highway", lat_deg=1.0, lon_deg=2.0)
                request = RegistrationRequested(site=site, requested_inmfs=(COOP_PERCEPTION,))
                return [Publish(request), StartTimer("again", 2.0)]
            case Received(message=RegistrationGranted(grant=grant) | GrantRenewed(grant=grant)):
                if self.grant is None or grant.fence >= self.grant.fence:
                    self.grant = grant
                return []
            case _:
                return []

    def goodbye(self) -> Sequence[Effect]:
        return [Publish(status("plvn", "offline"))]


@dataclass
class Outcome:
    core: CloudCore
    agents: list[ToyAgent]
    failed: int


async def play(folder: Path, faults: Faults, duration_s: float) -> Outcome:
    """Run everybody for some virtual time."""
    hub = MemoryHub()

    def make_bus(name: ClientName) -> FaultyBus:
        return FaultyBus(MemoryBus(hub), faults, name.client_id.rpartition("-")[0])

    clock = LoopClock()
    cloud = cloud_runtime(Deployment(make_bus, clock, folder), SETTINGS)
    core = cloud._runtime._driver.core
    assert isinstance(core, CloudCore)
    edges = [ToyEdge("e1"), ToyEdge("e2")]
    agents = [ToyAgent(name) for name in REWARDS]
    runtimes: list[Runtime | Supervisor] = [cloud]
    for edge in edges:
        to = Address(edge=EdgeId(edge.id))
        runtimes.append(toy_runtime(edge, make_bus, Subscribe((TwinPlaced, MetaRoundStarted), to)))
    for agent in agents:
        route = Subscribe((RegistrationGranted, GrantRenewed), Address(plvn=PlvnId(agent.id)))
        runtimes.append(toy_runtime(agent, make_bus, route))
    async with asyncio.TaskGroup() as group:
        for runtime in runtimes:
            group.create_task(runtime.run())
        await asyncio.sleep(duration_s)
        for runtime in runtimes:
            await runtime.stop()
    failed = sum(runtime.meter.counts["refused.failed"] for runtime in runtimes)
    return Outcome(core, agents, failed)


def toy_runtime(core: ToyEdge | ToyAgent, make_bus: MakeBus, route: Subscribe) -> Runtime:
    return build_runtime(
        core,
        make_bus(ClientName(core.id, f"{core.id}-boot")),
        routes=[route],
        clock=LoopClock(),
        jobs=InlineJobs(),
        store=MemoryStore(),
        settings=RuntimeSettings(incarnation=f"boot-{core.id}", health_interval_s=30.0),
    )


def record_rewards(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The rewards of every iteration of each training, once it is closed."""
    rewards: list[float] = []
    close = Planner.close_training

    def closing(planner: Planner, job: str) -> MetaModel:
        rewards.extend(planner.trainings[job].rewards)
        return close(planner, job)

    monkeypatch.setattr(Planner, "close_training", closing)
    return rewards


@pytest.mark.parametrize("kind", FAULTS)
def test_every_round_ends_each_twin_counts_once_and_every_plvn_has_one_owner(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewards = record_rewards(monkeypatch)
    outcome = run(play(tmp_path, FAULTS[kind], DURATION_S))
    registry, library = outcome.core.registry, outcome.core.library
    model = library.get(COOP_PERCEPTION, SUPER_CATEGORY)
    assert model is not None
    assert model.iterations == SETTINGS.first_stage_iterations + SETTINGS.iterations
    assert len(rewards) == model.iterations
    assert {round(reward, 3) for reward in rewards} <= POSSIBLE
    assert outcome.core.phase == "online"
    assert outcome.failed == 0
    for agent in outcome.agents:
        record = registry.plvns[PlvnId(agent.id)]
        assert agent.grant is not None
        assert (agent.grant.edge, agent.grant.fence) == (record.edge, record.fence)
