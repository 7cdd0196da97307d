import asyncio
from dataclasses import replace

import numpy as np
import pytest

from twintier.inmf.perception.condition import stack
from twintier.inmf.perception.live import outcome
from twintier.inmf.perception.physics import physics_of
from twintier.plvn_agent.source import SlotMeasured, SlotObserved
from twintier.plvn_agent.sources.builtin import HISTORY_SLOTS, BuiltinSource
from twintier.plvn_agent.sources.measuring import MeasuredTwiceError
from twintier.protocol.ids import PlvnId

PLVN = PlvnId("toronto-highway-1")
ALL_SP = np.zeros(3, dtype=bool)
ALL_CP = np.ones(3, dtype=bool)


async def observe(source: BuiltinSource, slots: int, plvn: PlvnId) -> list[SlotObserved]:
    await source.start()
    return [(await source.observe())[plvn] for _ in range(slots)]


async def drive(source: BuiltinSource, slots: int) -> list[tuple[SlotObserved, SlotMeasured]]:
    return [((await source.observe())[PLVN], source.measure(PLVN, ALL_CP)) for _ in range(slots)]


def run(source: BuiltinSource, slots: int, plvn: PlvnId = PLVN) -> list[SlotObserved]:
    return asyncio.run(observe(source, slots, plvn))


def test_plvns_take_cities_and_roads_in_turn() -> None:
    source = BuiltinSource(6, seed=1)
    assert [profile.plvn for profile in source.plvns] == [
        "toronto-highway-1",
        "toronto-local-1",
        "vancouver-highway-1",
        "vancouver-local-1",
        "toronto-highway-2",
        "toronto-local-2",
    ]
    assert [(p.site.city, p.site.road) for p in source.plvns[2:4]] == [
        ("vancouver", "highway"),
        ("vancouver", "local"),
    ]


def test_sixteen_plvns_lie_apart() -> None:
    sites = [(p.site.lat_deg, p.site.lon_deg) for p in BuiltinSource(16, seed=1).plvns]
    assert len(set(sites)) == 16


def test_a_plvn_does_not_depend_on_how_many_others_there_are() -> None:
    alone, among = run(BuiltinSource(1, seed=3), 600), run(BuiltinSource(16, seed=3), 600)
    assert [o.bandwidth_hz for o in alone] == [o.bandwidth_hz for o in among]
    assert np.array_equal([o.objects for o in alone], [o.objects for o in among])


@pytest.mark.parametrize(("hour", "mean_hz"), [(8.0, 5e6), (12.0, 6e6), (23.0, 7e6)])
def test_the_hour_sets_the_bandwidth_left(hour: float, mean_hz: float) -> None:
    seen = run(BuiltinSource(1, seed=1, start_hour=hour), 2000)
    bandwidth = np.array([observed.bandwidth_hz for observed in seen])
    assert abs(bandwidth.mean() - mean_hz) < 4 * 0.3e6 / np.sqrt(2000)
    assert abs(bandwidth.std() - 0.3e6) < 0.03e6


def test_rush_ends_at_nine_unless_constant() -> None:
    later = run(BuiltinSource(1, seed=1, start_hour=8.9), 2000)[-1000:]
    stays = run(BuiltinSource(1, seed=1, start_hour=8.9, constant=True), 2000)[-1000:]
    assert abs(np.mean([o.bandwidth_hz for o in later]) - 6e6) < 0.05e6
    assert abs(np.mean([o.bandwidth_hz for o in stays]) - 5e6) < 0.05e6
    assert later[-1].hour == stays[-1].hour == pytest.approx(8.9 + (HISTORY_SLOTS + 1999) / 3600)


def test_roads_differ_in_workload_and_distance() -> None:
    highway = run(BuiltinSource(2, seed=1), 500)
    local = run(BuiltinSource(2, seed=1), 500, PlvnId("toronto-local-1"))
    assert sorted({float(w) for o in highway for w in o.objects}) == [2.0, 3.0, 4.0, 5.0, 6.0]
    assert sorted({float(w) for o in local for w in o.objects}) == [4.0, 5.0, 6.0, 7.0, 8.0]
    assert sorted({float(d) for o in local for d in o.distance_m}) == [6.0, 12.0, 18.0, 24.0, 30.0]


def test_the_walk_follows_its_chain_across_blocks() -> None:
    seen = run(BuiltinSource(2, seed=5), 10_000, PlvnId("toronto-local-1"))
    level = (np.array([observed.objects for observed in seen]) - 4).astype(int)
    counts = np.zeros((5, 5))
    np.add.at(counts, (level[:-1].ravel(), level[1:].ravel()), 1)
    share = counts / counts.sum(axis=1, keepdims=True)
    assert np.abs(share[0] - [0.35, 0.30, 0.20, 0.10, 0.05]).max() < 0.04
    assert np.abs(share[4] - [0.05, 0.10, 0.20, 0.30, 0.35]).max() < 0.04


@pytest.mark.slow
def test_reward_is_the_hidden_truth_and_noise() -> None:
    source = BuiltinSource(1, seed=2)
    seen = asyncio.run(drive(source, 4000))
    before, noise = ALL_SP, []
    for observed, measured in seen:
        condition = source.true_parameters(PLVN, observed.sim_time_s).condition
        true = outcome(
            physics_of(stack([condition])[0]),
            observed.bandwidth_hz,
            observed.objects,
            observed.distance_m,
            observed.present,
            modes_before=before,
            modes=ALL_CP,
        )
        assert measured.infeasible == bool(true.infeasible)
        noise.append(measured.reward_j - float(true.reward_j))
        before = measured.modes
    assert len(source.events_until(PLVN, 4000.0)) >= 1
    assert abs(np.mean(noise)) < 4 * 0.35 / np.sqrt(4000)
    assert np.std(noise) == pytest.approx(0.35, rel=0.05)


def test_true_parameters_carry_hour_and_condition() -> None:
    source = BuiltinSource(1, seed=2, start_hour=8.0)
    event = source.events_until(PLVN, 7200.0)[0]
    before = source.true_parameters(PLVN, event.sim_time_s - 1.0)
    after = source.true_parameters(PLVN, event.sim_time_s)
    assert before.condition.noise_db == 1.0
    assert after.condition == event.condition
    assert source.true_parameters(PLVN, 0.0).bandwidth_mean_hz == 5e6
    assert source.true_parameters(PLVN, 3600.0).bandwidth_mean_hz == 6e6
    assert replace(after, condition=before.condition, bandwidth_mean_hz=5e6) == replace(
        before, bandwidth_mean_hz=5e6
    )


def test_a_slot_is_measured_once() -> None:
    source = BuiltinSource(1, seed=1)

    async def twice() -> None:
        await source.observe()
        source.measure(PLVN, ALL_SP)
        source.measure(PLVN, ALL_SP)

    with pytest.raises(MeasuredTwiceError, match="slot 0 comes after slot 0 was measured"):
        asyncio.run(twice())
