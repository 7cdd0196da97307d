"""A simulated PLVN: packets, late orders, and effects that the emulator does not know."""

import numpy as np
import pytest

from tests.inmf.vnf_scaling.played import simulated
from twintier.inmf.check.subject import SITE, CheckedSite, traffic_of
from twintier.inmf.spec import Array
from twintier.inmf.traffic import Traffic, WorldSeed
from twintier.inmf.vnf_scaling.calibration import VnfCalibration
from twintier.inmf.vnf_scaling.world import Orchestrator, Packets, VnfWorld

UP, HOLD, DOWN = 2, 0, 1
STILL = WorldSeed(0, "plvn", constant=True)


def loads_of(packets: Packets, slots: int, *, activity: float = 0.8, vehicles: int = 16) -> Array:
    return np.array(
        [
            packets.next(Traffic(slot, float(slot), 8.0, activity, vehicle_number=vehicles))
            for slot in range(slots)
        ]
    )


def test_loads_do_not_depend_on_orders() -> None:
    random = np.random.default_rng(0)
    first, second = (VnfWorld(SITE, STILL, 1.0) for _ in range(2))
    for slot in range(50):
        traffic = traffic_of(slot, 1.0, np.random.default_rng(slot))
        assert first.measure(traffic)["load"] == second.measure(traffic)["load"]
        first.act(np.array([HOLD]))
        second.act(random.integers(0, 4, 1))


def test_what_came_is_what_is_measured_next() -> None:
    columns, _ = simulated(60)
    assert np.array_equal(columns["load_met"][:-1], columns["load"][1:])


def test_a_slot_that_nobody_acts_in_passes_without_an_order() -> None:
    acted, left = VnfWorld(SITE, STILL, 0.0), VnfWorld(SITE, STILL, 0.0)
    for slot in range(20):
        traffic = traffic_of(slot, 1.0, np.random.default_rng(slot))
        one, other = acted.measure(traffic), left.measure(traffic)
        assert all(np.array_equal(one[name], other[name]) for name in one)
        acted.act(np.array([HOLD]))


def test_more_vehicles_more_activity_and_more_objects_offer_more() -> None:
    def mean(activity: float, vehicles: int) -> float:
        packets = Packets(SITE, STILL, 0.0)
        return float(loads_of(packets, 2000, activity=activity, vehicles=vehicles).mean())

    assert mean(1.0, 8) < 0.7 * mean(1.0, 16)
    assert mean(0.6, 16) < 0.9 * mean(1.0, 16)
    packets = Packets(SITE, STILL, 0.0)
    seeing = [
        packets.next(traffic_of(slot, 1.0, np.random.default_rng(slot))) for slot in range(2000)
    ]
    assert np.mean(seeing) > mean(0.8, 16) + 0.4


def test_loads_suit_the_instances_that_there_are() -> None:
    loads = loads_of(Packets(SITE, STILL, 0.0), 3000)
    assert 2.5 < loads.mean() < 7.0
    assert np.quantile(loads, 0.99) < 12.0


def test_strength_adds_bursts_with_a_heavy_tail_and_changes_no_other_draw() -> None:
    calm, rough = (loads_of(Packets(SITE, STILL, strength), 3000) for strength in (0.0, 1.0))
    bursts = rough - calm
    assert (bursts >= 0.0).all()
    assert 0.02 < (bursts > 0.0).mean() < 0.3
    assert bursts.max() > 5.0 * np.median(bursts[bursts > 0.0])


def test_an_order_runs_when_its_lag_is_over() -> None:
    orchestrator = Orchestrator()
    running = []
    for choice in (UP, UP, HOLD, HOLD, HOLD):
        orchestrator.order(choice, 3)
        running.append(orchestrator.running)
    assert running == [6.0, 6.0, 7.0, 8.0, 8.0]
    assert orchestrator.log.tolist() == [8.0, 8.0, 8.0, 8.0, 7.0, 6.0]


def test_a_faster_orchestrator_does_not_go_back_to_older_orders() -> None:
    orchestrator = Orchestrator()
    orchestrator.order(UP, 6)
    orchestrator.order(UP, 1)
    running = [orchestrator.running]
    for _ in range(6):
        orchestrator.order(HOLD, 1)
        running.append(orchestrator.running)
    assert running == [8.0] * 7


def test_an_order_that_cannot_be_is_reported_as_what_it_was() -> None:
    orchestrator = Orchestrator()
    done = [orchestrator.order(3, 1) for _ in range(4)]
    assert done == [3, 3, 3, HOLD]
    assert orchestrator.order(DOWN, 1) == DOWN
    assert orchestrator.order(3, 1) == UP


def test_without_strength_the_emulator_explains_all_but_the_noise() -> None:
    columns, hidden = simulated(400)
    predicted = VnfCalibration().predict(columns, hidden[None])[0]
    assert (columns["reward"] - predicted).std() == pytest.approx(0.05, abs=0.006)


def test_with_strength_busy_instances_serve_less_than_the_emulator_thinks() -> None:
    columns, _ = simulated(400, seed=1, strength=1.0)
    capacity = columns["running"][1:]
    emulated = np.clip(columns["backlog_s"] + columns["load_met"], 0, None)[:-1] - capacity
    slower = columns["backlog_s"][1:] - np.clip(emulated, 0.0, 10.0)
    assert (slower >= -1e-9).all()
    assert slower.max() > 0.3


def test_city_and_road_stand_for_what_is_hidden() -> None:
    def hidden(city: str, road: str) -> Array:
        worlds = [
            VnfWorld(CheckedSite(city, road), WorldSeed(0, f"plvn-{each}", constant=True), 0.0)
            for each in range(40)
        ]
        return np.array([world.condition_at(0.0).as_array() for world in worlds])

    premium, basic = hidden("toronto", "local"), hidden("vancouver", "local")
    assert np.median(premium[:, 0]) > 1.8 * np.median(basic[:, 0])
    assert premium[:, 0].std() > 0.3
    highway = hidden("toronto", "highway")
    assert set(highway[:, 2]) == {3.0}
    assert set(premium[:, 2]) == {1.0}
    assert np.median(highway[:, 1]) < 0.7 * np.median(premium[:, 1])


def test_the_truth_names_the_event() -> None:
    world = VnfWorld(SITE, WorldSeed(0, "plvn"), 0.0)
    quiet, later = (Traffic(0, time_s, 8.0) for time_s in (0.0, 3600.0))
    assert world.truth(quiet).startswith("normal: SLA weight")
    assert not world.truth(later).startswith("normal")
