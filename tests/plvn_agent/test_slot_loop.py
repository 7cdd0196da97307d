"""The slot loop: who is measured when, where fields come from, and whose errors cost whom."""

import asyncio
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import pytest

from tests.plvn_agent.agents import FAST, OTHER, P1, TOY, Simulated, outcome, row_of_slot, traffic
from tests.support import autojump
from tests.support.toy_inmf import ToyInmf, ToyWorld, toy
from twintier.inmf.contract import Inmf, Row, Site
from twintier.inmf.episodes import Actions
from twintier.inmf.traffic import Traffic, WorldSeed
from twintier.plvn_agent.slot_loop import Host, HostSettings
from twintier.plvn_agent.slots import History, InmfFailed, SlotActed, SlotMeasured
from twintier.plvn_agent.source import Source, SourceError
from twintier.protocol.ids import InmfId, PlvnId
from twintier.runtime.effects import Actuate, Answer


class Real(Simulated):
    """Brings the fields of the toy itself and has nothing to simulate."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots)
        self.acted: list[list[bool]] = []

    def world_seed(self, plvn: PlvnId) -> None:
        del plvn

    def fields(self, plvn: PlvnId, inmf: InmfId) -> Row | None:
        assert plvn == P1
        return row_of_slot(5.0) if inmf == TOY else None

    def act(self, plvn: PlvnId, inmf: InmfId, action: Actions) -> Row:
        assert (plvn, inmf) == (P1, TOY)
        self.acted.append(action.tolist())
        return outcome((1.0, 0.0), 4.0)


Seen = TypeVar("Seen")


class Agent:
    """Offloads the second task of every INMF."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def observe(self, observation: object) -> list[Answer]:
        self.seen.append(observation)
        if not isinstance(observation, SlotMeasured):
            return []
        return [Actuate(inmf, (0.0, 1.0)) for inmf in observation.measured]

    def of(self, kind: type[Seen]) -> list[Seen]:
        return [each for each in self.seen if isinstance(each, kind)]


def drive(source: Source, *inmfs: Inmf) -> Agent:
    agent = Agent()
    named = {InmfId(inmf.spec.inmf): inmf for inmf in inmfs}
    host = Host(source, {P1: agent}, named, FAST, is_ready=lambda: True)
    with pytest.raises(SourceError, match="the road ends"):
        asyncio.run(host.run())
    return agent


def test_worlds_measure_and_carry_out() -> None:
    agent = drive(Simulated(3), toy())
    (past,) = agent.of(History)
    assert [slot.measured[TOY].slot for slot in past.slots] == [0, 1]
    seen = agent.of(SlotMeasured)
    assert [slot.measured[TOY].row["load"].tolist() for slot in seen] == [[2, 9], [3, 9], [4, 9]]
    acted = [slot.outcomes[TOY] for slot in agent.of(SlotActed)]
    assert [each.slot for each in acted] == [2, 3, 4]
    assert [each.row["action"].tolist() for each in acted] == [[0.0, 1.0]] * 3
    assert [float(each.row["reward"]) for each in acted] == [1.0] * 3


def test_an_inmf_with_longer_slots_is_measured_in_each_of_its_own() -> None:
    agent = drive(Simulated(9), toy(), toy("other", slot_s=4.0))
    seen = [
        (s.traffic.slot, s.measured[OTHER].slot)
        for s in agent.of(SlotMeasured)
        if OTHER in s.measured
    ]
    assert seen == [(4, 1), (8, 2)]
    assert [sorted(slot.outcomes) for slot in agent.of(SlotActed)].count([OTHER, TOY]) == 2


def test_slots_that_do_not_fit_are_refused_at_once() -> None:
    for slot_s in (0.4, 1.5):
        with pytest.raises(
            SourceError, match=f"toy has slots of {slot_s} s, which are no multiple"
        ):
            drive(Simulated(1), toy(slot_s=slot_s))


def test_a_source_may_bring_fields_and_carry_out_itself() -> None:
    source = Real(2)
    agent = drive(source, toy(), toy("other"))
    assert [sorted(slot.measured) for slot in agent.of(SlotMeasured)] == [[TOY], [TOY]]
    assert source.acted == [[False, True]] * 2
    assert [float(slot.outcomes[TOY].row["reward"]) for slot in agent.of(SlotActed)] == [4.0, 4.0]


class _BrokenWorld(ToyWorld):
    def measure(self, traffic: Traffic) -> Row:
        if traffic.slot == 3:
            raise ValueError("cannot see")
        return super().measure(traffic)

    def act(self, action: Actions) -> Row:
        raise ValueError(f"cannot do {action}")


class _BrokenToy(ToyInmf):
    def world(self, site: Site, seed: WorldSeed, *, strength: float = 0.0) -> _BrokenWorld:
        del site, seed, strength
        return _BrokenWorld()


def test_a_broken_world_costs_its_inmf_only() -> None:
    agent = drive(Simulated(3), _BrokenToy(), toy("other"))
    reasons = [(failed.inmf, failed.reason) for failed in agent.of(InmfFailed)]
    assert reasons == [
        (TOY, "cannot act: ValueError: cannot do [False  True]"),
        (TOY, "cannot be measured: ValueError: cannot see"),
        (TOY, "cannot act: ValueError: cannot do [False  True]"),
    ]
    assert [sorted(slot.outcomes) for slot in agent.of(SlotActed)] == [[OTHER]] * 3


class _Unbuilt(ToyInmf):
    def world(self, site: Site, seed: WorldSeed, *, strength: float = 0.0) -> ToyWorld:
        raise ValueError(f"nothing at {site.city}")


def test_a_world_that_cannot_be_built_costs_its_inmf_only() -> None:
    agent = drive(Simulated(2), _Unbuilt(), toy("other"))
    failed = [(failed.inmf, failed.reason) for failed in agent.of(InmfFailed)]
    assert set(failed) == {(TOY, "cannot build its world: ValueError: nothing at Berlin")}
    assert [sorted(slot.outcomes) for slot in agent.of(SlotActed)] == [[OTHER]] * 2


def test_those_who_watch_may_see_worlds() -> None:
    host = Host(Simulated(1), {P1: Agent()}, {TOY: toy()}, FAST, is_ready=lambda: True)
    world = host.world(P1, TOY)
    assert world is not None
    assert world.truth(traffic(3)) == "slot 3"
    assert np.array_equal(world.measure(traffic(3))["load"], [3.0, 9.0])
    real = Host(Real(1), {P1: Agent()}, {TOY: toy()}, FAST, is_ready=lambda: True)
    assert real.world(P1, TOY) is None


class Stalling(Simulated):
    """Takes ten slots' time for one of them."""

    def __init__(self) -> None:
        super().__init__(8)
        self.times_s: list[float] = []

    async def observe(self) -> Mapping[PlvnId, Traffic]:
        self.times_s.append(asyncio.get_running_loop().time())
        if len(self.times_s) == 3:
            await asyncio.sleep(10.0)
        return await super().observe()


def test_after_a_stall_slots_are_neither_skipped_nor_sent_in_a_burst() -> None:
    source, agent = Stalling(), Agent()
    host = Host(source, {P1: agent}, {TOY: toy()}, HostSettings(speed=1.0), is_ready=lambda: True)
    with pytest.raises(SourceError, match="the road ends"):
        autojump.run(host.run())
    assert [slot.traffic.slot for slot in agent.of(SlotMeasured)] == [*range(2, 10)]
    assert source.times_s == [0.0, 1.0, 2.0, 12.0, 12.0, 13.0, 14.0, 15.0, 16.0]
