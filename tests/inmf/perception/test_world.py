"""The physical side of cooperative perception: what is measured, and what modes are worth."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from twintier.inmf.contract import Row
from twintier.inmf.perception.condition import stack
from twintier.inmf.perception.inmf import CoopPerception
from twintier.inmf.perception.live import outcome
from twintier.inmf.perception.physics import physics_of
from twintier.inmf.perception.world import MeasuredTwiceError, PerceptionWorld
from twintier.inmf.schema import result_fields
from twintier.inmf.traffic import Traffic, WorldSeed
from twintier.protocol.columns import check_row

PLVN = "toronto-highway-1"
ALL_CP = np.ones(3, dtype=bool)


@dataclass(frozen=True)
class Site:
    city: str = "toronto"
    road: str = "highway"


def world(seed: int = 2, plvn: str = PLVN, *, constant: bool = False) -> PerceptionWorld:
    return PerceptionWorld(Site(), WorldSeed(seed, plvn, constant=constant))


def traffic(slot: int = 0, human_driven: float | None = 10.0, activity: float = 1.0) -> Traffic:
    rng = np.random.default_rng(slot)
    return Traffic(
        slot=slot,
        sim_time_s=float(slot),
        hour=8.0,
        activity=activity,
        human_driven=human_driven,
        link_objects=rng.integers(2, 9, 3).astype(float),
        link_distance_m=rng.uniform(6.0, 60.0, 3),
        link_present=np.ones(3, bool),
    )


def bandwidths(human_driven: float | None, activity: float, slots: int = 4000) -> np.ndarray:
    measuring = world()
    seen = traffic(0, human_driven, activity)
    return np.array([float(measuring.measure(seen)["bandwidth_hz"]) for _ in range(slots)])


@pytest.mark.parametrize(("activity", "mean_hz"), [(1.0, 5e6), (0.8, 6e6), (0.6, 7e6)])
def test_an_average_of_vehicles_leaves_bandwidth_with_the_usual_spread(
    activity: float, mean_hz: float
) -> None:
    seen = bandwidths(10.0, activity)
    assert abs(seen.mean() - mean_hz) < 4 * 0.3e6 / np.sqrt(4000)
    assert abs(seen.std() - 0.3e6) < 0.02e6


def test_vehicles_that_were_counted_transmit_each_for_itself() -> None:
    assert set(bandwidths(10, 1.0, 20)) == {5e6}
    assert set(bandwidths(40, 1.0, 20)) == {5e6}
    assert set(bandwidths(0, 1.0, 20)) == {10e6}
    assert set(bandwidths(None, 1.0, 20)) == {10e6}
    seen = bandwidths(8, 0.8)
    assert set(seen) <= {10e6 - 0.5e6 * active for active in range(9)}
    assert abs(seen.mean() - 6.8e6) < 4 * 0.57e6 / np.sqrt(4000)
    assert abs(seen.std() - 0.5e6 * np.sqrt(8 * 0.8 * 0.2)) < 0.02e6


def test_links_become_rows_of_pairs() -> None:
    seen = traffic(3)
    row = world().measure(seen)
    assert row["objects"].tolist() == seen.link_objects.tolist()
    assert row["distance_m"].tolist() == seen.link_distance_m.tolist()
    assert row["present"].tolist() == [1.0, 1.0, 1.0]
    few = world().measure(replace(seen, link_objects=np.ones(1), link_present=np.ones(1, bool)))
    assert few["objects"].tolist() == [1.0, 0.0, 0.0]
    assert few["present"].tolist() == [1.0, 0.0, 0.0]
    many = world().measure(replace(seen, link_objects=np.arange(5.0)))
    assert many["objects"].tolist() == [0.0, 1.0, 2.0]


def played(measuring: PerceptionWorld, slots: int) -> list[tuple[Traffic, Row, Row]]:
    found = []
    for slot in range(slots):
        seen = traffic(slot)
        found.append((seen, measuring.measure(seen), measuring.act(ALL_CP)))
    return found


@pytest.mark.slow
def test_the_reward_is_the_hidden_truth_and_noise() -> None:
    measuring, before, noise = world(), np.zeros(3, bool), []
    for seen, row, came in played(measuring, 4000):
        true = outcome(
            physics_of(stack([measuring.condition_at(seen.sim_time_s)])[0]),
            row["bandwidth_hz"],
            row["objects"],
            row["distance_m"],
            row["present"] > 0.5,
            modes_before=before,
            modes=ALL_CP,
        )
        assert came["infeasible"] == true.infeasible
        assert came["mode_changes"] == (before != ALL_CP).sum()
        noise.append(float(came["reward"] - true.reward_j))
        before = ALL_CP
    assert len(measuring.events_until(4000.0)) >= 1
    assert abs(np.mean(noise)) < 4 * 0.35 / np.sqrt(4000)
    assert np.std(noise) == pytest.approx(0.35, rel=0.05)


def test_absent_pairs_carry_nothing_out() -> None:
    measuring = world()
    measuring.measure(replace(traffic(), link_present=np.array([True, False, True])))
    came = measuring.act(ALL_CP)
    assert came["action"].tolist() == [1.0, 0.0, 1.0]
    assert came["mode_changes"] == 2
    assert check_row(came, result_fields(CoopPerception())).keys() == came.keys()


def test_a_slot_is_acted_in_once() -> None:
    measuring = world()
    measuring.measure(traffic())
    measuring.act(ALL_CP)
    with pytest.raises(MeasuredTwiceError, match="measure each slot before"):
        measuring.act(ALL_CP)


def test_what_is_drawn_follows_from_seed_and_plvn_alone() -> None:
    def numbers(measuring: PerceptionWorld) -> list[float]:
        slots = played(measuring, 50)
        return [float(each) for _, r, c in slots for each in (r["bandwidth_hz"], c["reward"])]

    assert numbers(world()) == numbers(world())
    assert numbers(world(seed=3)) != numbers(world())
    assert numbers(world(plvn="toronto-highway-2")) != numbers(world())


def test_actions_do_not_change_what_is_measured() -> None:
    one, other = world(), world()
    for slot in range(50):
        rows = [measuring.measure(traffic(slot)) for measuring in (one, other)]
        assert rows[0]["bandwidth_hz"] == rows[1]["bandwidth_hz"]
        one.act(ALL_CP)
        other.act(~ALL_CP)


def test_the_truth_names_the_event() -> None:
    measuring = world()
    (first, *_) = measuring.events_until(7200.0)
    assert measuring.truth(traffic(0)) == "normal"
    assert measuring.truth(traffic(int(first.sim_time_s) + 1)) == first.name
    assert measuring.condition_at(0.0).noise_db == 1.0
    assert world(constant=True).events_until(1e6) == ()


def test_the_inmf_makes_its_world() -> None:
    made = CoopPerception().world(Site(), WorldSeed(2, PLVN))
    assert made.condition_at(0.0) == world().condition_at(0.0)
    with pytest.raises(ValueError, match=r"strength 1\.5 of effects must be within 0 and 1"):
        CoopPerception().world(Site(), WorldSeed(2, PLVN), strength=1.5)


def rewards(strength: float, *, distance_m: float = 20.0, human_driven: float = 8.0) -> np.ndarray:
    seed = WorldSeed(2, PLVN, constant=True)
    measuring = PerceptionWorld(Site(), seed, strength=strength)
    found = []
    for slot in range(200):
        seen = replace(traffic(slot, human_driven), link_distance_m=np.full(3, distance_m))
        measuring.measure(seen if human_driven else replace(seen, activity=0.0))
        found.append(float(measuring.act(ALL_CP)["reward"]))
    return np.array(found)


def test_retransmissions_take_bandwidth_from_loaded_pairs() -> None:
    means = [rewards(strength).mean() for strength in (0.0, 0.5, 1.0)]
    assert means[0] > means[1] > means[2]


def test_signals_fade_faster_beyond_a_distance() -> None:
    quiet = {"human_driven": 0.0}
    assert np.array_equal(
        rewards(1.0, distance_m=39.0, **quiet), rewards(0.0, distance_m=39.0, **quiet)
    )
    near, far = (
        rewards(0.0, distance_m=at_m).mean() - rewards(1.0, distance_m=at_m).mean()
        for at_m in (20.0, 75.0)
    )
    assert far > near
