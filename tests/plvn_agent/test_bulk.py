"""Slots of a millisecond: the source drives them, the agent's policy decides as a function."""

import asyncio
import pickle
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from tests.plvn_agent.agents import (
    FAST,
    P1,
    TOY,
    Simulated,
    agent,
    granted,
    messages,
    model,
    received,
    traffic,
)
from tests.support.toy_inmf import SPEC, ToyInmf
from twintier.inmf.contract import ACTION, REWARD, Row
from twintier.inmf.episodes import Actions
from twintier.inmf.schema import trajectory_fields
from twintier.inmf.spec import Windows
from twintier.inmf.traffic import Traffic
from twintier.plvn_agent.core import AgentCore
from twintier.plvn_agent.policy import Driven, SlotPolicy, drive
from twintier.plvn_agent.slot_loop import Host
from twintier.plvn_agent.slots import BulkDriven, BulkWanted, InmfFailed
from twintier.plvn_agent.source import BulkSource, SourceError
from twintier.protocol.columns import unpack
from twintier.protocol.ids import InmfId, PlvnId
from twintier.protocol.messages import (
    PerformanceReported,
    TelemetryReported,
    TrajectoriesReported,
)
from twintier.protocol.messages.base import Message
from twintier.runtime.core import Observed
from twintier.runtime.effects import Actuate, Answer, Delegate

SHORT = ToyInmf(
    replace(SPEC, slot_s=0.001, windows=Windows(batch=300, performance=500, telemetry=250))
)
SLOTS = 3


class Queue:
    """Work that comes in and is done."""

    def __init__(self) -> None:
        self.slot = 0

    def measure(self) -> Row:
        self.slot += 1
        return {"load": np.array([float(self.slot % 10), 9.0])}

    def act(self, action: Actions) -> Row:
        reward = np.array(float(action.sum()))
        return {ACTION: action.astype(float), REWARD: reward, "late": np.array(0.0)}


class Fast(Simulated):
    """Slots of a second, in each of which a thousand of the toy pass."""

    bulk: Sequence[InmfId] = (TOY,)

    def __init__(self, slots: int = SLOTS) -> None:
        super().__init__(slots)
        self.queue = Queue()
        self.turns: list[int] = []

    async def observe(self) -> Mapping[PlvnId, Traffic]:
        await asyncio.sleep(0)
        self.turns.append(self.queue.slot)
        return await super().observe()

    async def advance(self, plvn: PlvnId, inmf: InmfId, policy: SlotPolicy, slots: int) -> Driven:
        assert (plvn, inmf) == (P1, TOY)
        return drive(policy, self.queue.slot, slots, self.queue.measure, self.queue.act)


class InProcess:
    """A runtime without a bus: what the core publishes is kept."""

    def __init__(self, core: AgentCore) -> None:
        self.core = core
        self.sent: list[Message] = []
        self.calls = 0

    def observe(self, observation: object) -> list[Answer]:
        self.calls += 1
        effects = self.core.receive(Observed(observation), 0.0)
        self.sent += messages(effects)
        return [effect for effect in effects if isinstance(effect, Actuate | Delegate)]


def run(source: Fast, core: AgentCore) -> InProcess:
    runtime = InProcess(core)
    host = Host(source, {P1: runtime}, {TOY: SHORT}, FAST, is_ready=lambda: True)
    with pytest.raises(SourceError, match="the road ends"):
        asyncio.run(host.run())
    return runtime


def managed() -> AgentCore:
    core = agent(inmfs=[SHORT])
    core.receive(granted(), 0.0)
    return core


def test_a_slot_needs_neither_a_message_nor_a_turn_of_the_loop() -> None:
    source = Fast()
    assert isinstance(source, BulkSource)
    runtime = run(source, managed())
    assert source.turns == [0, 1000, 2000, 3000]
    slots_per_turn = source.queue.slot / SLOTS
    assert slots_per_turn == 1000
    assert slots_per_turn >= 100
    assert runtime.calls == 1 + SLOTS * 3  # history; each second the traffic, asking and telling


def test_what_goes_up_is_contiguous() -> None:
    sent = run(Fast(), managed()).sent
    telemetry = [m for m in sent if isinstance(m, TelemetryReported)]
    assert [m.slot_first for m in telemetry] == list(range(0, 3000, 250))
    load = np.concatenate([m.measured[0].slots.floats("load")[:, 0] for m in telemetry])
    assert load.tolist() == [float(slot % 10) for slot in range(1, 3001)]
    batches = [m for m in sent if isinstance(m, TrajectoriesReported)]
    assert [(m.batch, m.slot_first) for m in batches] == [(n, 300 * n) for n in range(10)]
    columns = [unpack(m.slots, trajectory_fields(SHORT)) for m in batches]
    actions = np.concatenate([each["action"] for each in columns])
    before = np.concatenate([each["before"] for each in columns])
    assert np.array_equal(before[1:], actions[:-1])
    summaries = [m for m in sent if isinstance(m, PerformanceReported)]
    assert [(m.slot_first, m.slots) for m in summaries] == [(500 * n, 500) for n in range(6)]


def test_an_order_takes_effect_with_the_next_policy_that_is_lent() -> None:
    core = managed()
    (lent,) = core.receive(Observed(BulkWanted(TOY)), 0.0)
    core.receive(received(model(5, SHORT, batch=100)), 0.5)
    assert isinstance(lent, Delegate)
    assert isinstance(lent.policy, SlotPolicy)
    queue = Queue()
    driven = drive(lent.policy, 0, 100, queue.measure, queue.act)
    sent = messages(core.receive(Observed(BulkDriven(TOY, traffic(1), driven)), 1.0))
    (batch,) = [m for m in sent if isinstance(m, TrajectoriesReported)]
    assert (batch.policy, batch.model_version) == ("baseline", 0)
    (lent,) = core.receive(Observed(BulkWanted(TOY)), 1.0)
    assert isinstance(lent, Delegate)
    assert isinstance(lent.policy, SlotPolicy)
    assert (lent.policy.acts, lent.policy.version) == ("individual_model", 5)


def _in_child(policy: SlotPolicy) -> Driven:
    queue = Queue()
    return drive(policy, 0, 50, queue.measure, queue.act)


@pytest.mark.parametrize("sampled", [False, True])
def test_a_policy_decides_the_same_in_another_process(*, sampled: bool) -> None:
    core = managed()
    core.receive(received(model(5, SHORT, sampled=sampled)), 0.5)
    policy = core.controllers[TOY].policy
    with ProcessPoolExecutor(1) as pool:
        there = pool.submit(_in_child, pickle.loads(pickle.dumps(policy))).result()  # noqa: S301
    here = _in_child(policy)
    assert there.policy == policy
    for one, other in zip(there.finished, here.finished, strict=True):
        assert one.row.keys() == other.row.keys()
        assert all(np.array_equal(one.row[n], other.row[n], equal_nan=True) for n in one.row)


class _Broken(Fast):
    async def advance(self, plvn: PlvnId, inmf: InmfId, policy: SlotPolicy, slots: int) -> Driven:
        raise ValueError("cannot see")


def test_a_source_that_fails_for_an_inmf_costs_that_one_only() -> None:
    class Watched(InProcess):
        failed: list[InmfFailed]

        def observe(self, observation: object) -> list[Answer]:
            if isinstance(observation, InmfFailed):
                self.failed.append(observation)
            return super().observe(observation)

    runtime = Watched(managed())
    runtime.failed = []
    host = Host(_Broken(2), {P1: runtime}, {TOY: SHORT}, FAST, is_ready=lambda: True)
    with pytest.raises(SourceError, match="the road ends"):
        asyncio.run(host.run())
    assert runtime.failed == [InmfFailed(TOY, "ValueError: cannot see")] * 2
