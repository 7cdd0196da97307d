import asyncio

import numpy as np
import pytest

from twintier.inmf.traffic import Traffic, WorldSeed
from twintier.plvn_agent.sources.builtin import HISTORY_SLOTS, BuiltinSource
from twintier.protocol.ids import PlvnId

PLVN = PlvnId("toronto-highway-1")


async def observe(source: BuiltinSource, slots: int, plvn: PlvnId) -> list[Traffic]:
    await source.start()
    return [(await source.observe())[plvn] for _ in range(slots)]


def run(source: BuiltinSource, slots: int, plvn: PlvnId = PLVN) -> list[Traffic]:
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
    for column in ("link_objects", "link_distance_m"):
        one, other = ([getattr(seen, column) for seen in slots] for slots in (alone, among))
        assert np.array_equal(one, other)


@pytest.mark.parametrize(("hour", "activity"), [(8.0, 1.0), (12.0, 0.8), (23.0, 0.6)])
def test_the_hour_sets_how_active_human_driven_vehicles_are(hour: float, activity: float) -> None:
    (seen,) = run(BuiltinSource(1, seed=1, start_hour=hour), 1)
    assert (seen.activity, seen.human_driven, seen.vehicle_number) == (activity, 10.0, 16)
    assert isinstance(seen.human_driven, float)


def test_rush_ends_at_nine_unless_constant() -> None:
    later = run(BuiltinSource(1, seed=1, start_hour=8.9), 2000)
    stays = run(BuiltinSource(1, seed=1, start_hour=8.9, constant=True), 2000)
    assert [later[0].activity, later[-1].activity] == [1.0, 0.8]
    assert {seen.activity for seen in stays} == {1.0}
    assert later[-1].hour == stays[-1].hour == pytest.approx(8.9 + (HISTORY_SLOTS + 1999) / 3600)


def test_roads_differ_in_workload_and_distance() -> None:
    highway = run(BuiltinSource(2, seed=1), 500)
    local = run(BuiltinSource(2, seed=1), 500, PlvnId("toronto-local-1"))
    assert sorted({float(w) for o in highway for w in o.link_objects}) == [2.0, 3.0, 4.0, 5.0, 6.0]
    assert sorted({float(w) for o in local for w in o.link_objects}) == [4.0, 5.0, 6.0, 7.0, 8.0]
    assert sorted({float(d) for o in local for d in o.link_distance_m}) == [
        6.0,
        12.0,
        18.0,
        24.0,
        30.0,
    ]


def test_the_walk_follows_its_chain_across_blocks() -> None:
    seen = run(BuiltinSource(2, seed=5), 10_000, PlvnId("toronto-local-1"))
    level = (np.array([observed.link_objects for observed in seen]) - 4).astype(int)
    counts = np.zeros((5, 5))
    np.add.at(counts, (level[:-1].ravel(), level[1:].ravel()), 1)
    share = counts / counts.sum(axis=1, keepdims=True)
    assert np.abs(share[0] - [0.35, 0.30, 0.20, 0.10, 0.05]).max() < 0.04
    assert np.abs(share[4] - [0.05, 0.10, 0.20, 0.30, 0.35]).max() < 0.04


def test_worlds_follow_from_seed_and_plvn() -> None:
    source = BuiltinSource(2, seed=3, constant=True)
    assert source.world_seed(PLVN) == WorldSeed(3, PLVN, constant=True)
