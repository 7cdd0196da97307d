import tracemalloc

import numpy as np
import pytest

from twintier.inmf.trajectory import Array
from twintier.plvn_agent.sources.sumo.clusters import (
    CELL_M,
    DiscSettings,
    PairRows,
    PairState,
    Vehicles,
    candidate_pairs,
    least_separation_m,
    nearest_rsu,
    place_rsus,
)

SETTINGS = DiscSettings()


def crowd(*spots: tuple[float, float, int]) -> list[Array]:
    """One sample with so many vehicles at each spot."""
    return [np.concatenate([np.full((count, 2), (x, y)) for x, y, count in spots])]


def vehicles_at(names: list[str], position_m: Array) -> Vehicles:
    every = np.ones(len(names), dtype=bool)
    return Vehicles(names, position_m, every, every)


def road(**at_m: float) -> tuple[dict[str, int], Vehicles]:
    """Automated vehicles along a straight road, all of them members."""
    names = list(at_m)
    position_m = np.array([[x, 0.0] for x in at_m.values()]).reshape(-1, 2)
    members = {name: index for index, name in enumerate(names)}
    return members, vehicles_at(names, position_m)


def test_rsus_stand_at_the_busiest_spots_and_apart() -> None:
    samples = crowd((25, 25, 50), (325, 25, 40), (1025, 25, 30), (2025, 25, 20))
    placed = place_rsus(samples, 3, SETTINGS)
    assert placed.tolist() == [[25.0, 25.0], [1025.0, 25.0], [2025.0, 25.0]]


def test_the_separation_is_relaxed_where_the_network_is_small() -> None:
    samples = crowd((25, 25, 50), (475, 25, 40))
    placed = place_rsus(samples, 2, SETTINGS)
    assert placed.tolist() == [[25.0, 25.0], [475.0, 25.0]]
    assert least_separation_m(placed) == 450.0


def test_a_nearly_empty_disc_is_given_up_for_a_closer_one() -> None:
    samples = crowd((25, 25, 50), (475, 25, 40), (1525, 25, 2))
    assert place_rsus(samples, 2, SETTINGS).tolist() == [[25.0, 25.0], [475.0, 25.0]]


def test_no_traffic_gives_no_rsu() -> None:
    assert place_rsus([np.zeros((0, 2))], 4, SETTINGS).shape == (0, 2)


def test_spots_are_as_busy_as_all_vehicles_within_the_radius() -> None:
    seen_m = np.random.default_rng(3).uniform(-900.0, 900.0, (400, 2))
    (placed,) = place_rsus([seen_m], 1, SETTINGS)
    middles_m = (np.floor(seen_m / CELL_M) + 0.5) * CELL_M
    within = np.linalg.norm(middles_m[:, None] - middles_m[None], axis=2) <= SETTINGS.radius_m
    at_placed = np.linalg.norm(middles_m - placed, axis=1) <= SETTINGS.radius_m
    assert at_placed.sum() == within.sum(axis=1).max()


def test_a_large_network_is_placed_in_memory_that_grows_with_its_cells() -> None:
    rows, columns = np.meshgrid(np.arange(100.0), np.arange(200.0))
    seen_m = np.stack([rows.ravel(), columns.ravel()], axis=1) * CELL_M
    tracemalloc.start()
    placed = place_rsus([seen_m] * 5, 16, SETTINGS)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert placed.shape == (16, 2)
    assert least_separation_m(placed) >= 300.0
    assert peak_bytes < 2**28


def test_a_vehicle_belongs_to_the_nearest_rsu() -> None:
    rsus = np.array([[0.0, 0.0], [500.0, 0.0]])
    nearest, range_m = nearest_rsu(np.array([[100.0, 0.0], [300.0, 0.0]]), rsus)
    assert nearest.tolist() == [0, 1]
    assert range_m.tolist() == [100.0, 200.0]


def test_a_follower_takes_the_nearest_vehicle_ahead() -> None:
    position_m = np.array([[0.0, 0.0], [40.0, 0.0], [60.0, 0.0]])
    east_deg = np.full(3, 90.0)
    assert list(candidate_pairs(position_m, east_deg, SETTINGS)) == [(1, 2), (0, 1)]


@pytest.mark.parametrize(
    ("leader_m", "angle_deg"),
    [((-20.0, 0.0), 90.0), ((20.0, 0.0), 270.0), ((3.0, 20.0), 90.0), ((151.0, 0.0), 90.0)],
    ids=["behind", "oncoming", "beside", "too far"],
)
def test_no_pair_with_a_vehicle(leader_m: tuple[float, float], angle_deg: float) -> None:
    position_m = np.array([[0.0, 0.0], leader_m])
    pairs = list(candidate_pairs(position_m, np.array([90.0, angle_deg]), SETTINGS))
    assert (0, 1) not in pairs


def test_one_vehicle_forms_no_pair() -> None:
    assert list(candidate_pairs(np.zeros((1, 2)), np.zeros(1), SETTINGS)) == []


def test_a_vehicle_is_in_one_pair_only() -> None:
    rows = PairRows(SETTINGS, 30.0)
    rows.fill([0, 1, 2], iter([("a", "b"), ("c", "a"), ("c", "d")]))
    assert list(rows.rows) == [("a", "b"), ("c", "d"), None]


def test_a_pair_keeps_its_row_beyond_the_range_it_formed_in() -> None:
    rows = PairRows(SETTINGS, 30.0)
    rows.fill([0], iter([("a", "b")]))
    assert rows.keep(*road(a=0.0, b=170.0)) == [1, 2]
    assert rows.rows[0] == ("a", "b")
    assert rows.keep(*road(a=0.0, b=173.0)) == [1, 2]
    assert list(rows.rows) == [None, None, None]


def test_a_row_stays_empty_for_a_slot_between_two_pairs() -> None:
    rows = PairRows(SETTINGS, 30.0)
    rows.fill([0, 1, 2], iter([("a", "b"), ("c", "d"), ("e", "f")]))
    members, vehicles = road(a=0.0, c=10.0, d=20.0, e=30.0, f=40.0, g=50.0, h=60.0)
    empty = rows.keep(members, vehicles)
    rows.fill(empty, iter([("g", "h")]))
    assert list(rows.rows) == [None, ("c", "d"), ("e", "f")]
    rows.fill(rows.keep(members, vehicles), iter([("g", "h")]))
    assert list(rows.rows) == [("g", "h"), ("c", "d"), ("e", "f")]


def plane(*others_m: tuple[float, float]) -> tuple[dict[str, int], Vehicles]:
    """A pair 20 m apart, follower in the origin, and others around it."""
    position_m = np.array([(0.0, 0.0), (20.0, 0.0), *others_m])
    names = ["follower", "leader", *(f"other{n}" for n in range(len(others_m)))]
    members = {name: index for index, name in enumerate(names)}
    return members, vehicles_at(names, position_m)


def test_workload_counts_others_around_the_receiver() -> None:
    rows = PairRows(SETTINGS, 30.0)
    rows.fill([1], iter([("follower", "leader")]))
    members, vehicles = plane((-30.0, 0.0), (0.0, 20.0), (-30.5, 0.0), (0.0, 31.0))
    assert rows.states(members, vehicles) == [None, PairState(2, 20.0), None]


def test_workload_is_limited_to_the_objects_that_are_tracked() -> None:
    rows = PairRows(SETTINGS, 30.0)
    rows.fill([0], iter([("follower", "leader")]))
    jam = [(float(x), 3.0) for x in range(-20, 20)]
    assert rows.states(*plane(*jam))[0] == PairState(8, 20.0)


def test_a_leader_out_of_sight_changes_no_workload() -> None:
    rows = PairRows(SETTINGS, 30.0)
    rows.fill([0], iter([("follower", "leader")]))
    members, vehicles = road(follower=0.0, leader=100.0, near=5.0)
    assert rows.states(members, vehicles)[0] == PairState(1, 100.0)
