"""What every source keeps to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.support.roads import write_road
from twintier.plvn_agent.source import Source, SourceError
from twintier.plvn_agent.sources.builtin import BuiltinSource
from twintier.plvn_agent.sources.sumo.source import SumoSettings, SumoSource
from twintier.protocol.ids import InmfId, check_level

LINKS = 3
Start = Callable[[Path], Source]


def builtin(_folder: Path) -> Source:
    return BuiltinSource(2, seed=4)


def sumo(folder: Path) -> Source:
    settings = SumoSettings(seed=4, rsus=2, warmup_s=200, duration_sim_s=600.0)
    return SumoSource(write_road(folder), settings)


driven = pytest.param(sumo, marks=[pytest.mark.system, pytest.mark.sumo])
sources = pytest.mark.parametrize("make", [builtin, driven], ids=["builtin", "sumo"])


@asynccontextmanager
async def started(make: Start, folder: Path) -> AsyncIterator[Source]:
    source = make(folder)
    try:
        await source.start()
        yield source
    finally:
        await source.stop()


@sources
def test_slots_count_up_from_the_history(make: Start, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with started(make, tmp_path) as source:
            plvns = [profile.plvn for profile in source.plvns]
            last = [max((o.slot for o in source.history(p)), default=-1) for p in plvns]
            for step in (1, 2, 3):
                seen = await source.observe()
                assert list(seen) == plvns
                assert [seen[p].slot for p in plvns] == [slot + step for slot in last]
                assert all(o.sim_time_s == o.slot * source.slot_s for o in seen.values())

    asyncio.run(scenario())


@sources
def test_every_number_can_go_on_the_wire(make: Start, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with started(make, tmp_path) as source:
            for profile in source.plvns:
                assert check_level(profile.plvn) == profile.plvn
                assert profile.site.road in {"highway", "arterial", "local"}
            for _ in range(50):
                for seen in (await source.observe()).values():
                    assert seen.link_objects.shape == seen.link_distance_m.shape == (LINKS,)
                    assert seen.link_present.shape == (LINKS,)
                    assert np.isfinite([*seen.link_objects, *seen.link_distance_m]).all()
                    assert 0.0 <= seen.activity <= 1.0
                    assert seen.hour is not None
                    assert 0.0 <= seen.hour < 24.0
                    assert len(seen.vehicles) <= 64

    asyncio.run(scenario())


@sources
def test_a_source_of_traffic_has_a_seed_for_worlds_and_no_fields(
    make: Start, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with started(make, tmp_path) as source:
            plvn = source.plvns[0].plvn
            seed = source.world_seed(plvn)
            assert seed is not None
            assert (seed.seed, seed.plvn) == (4, plvn)
            await source.observe()
            assert source.fields(plvn, InmfId("any")) is None
            with pytest.raises(SourceError, match="carries out no actions of any"):
                source.act(plvn, InmfId("any"), np.ones(LINKS, dtype=bool))

    asyncio.run(scenario())


@sources
def test_the_same_seed_gives_the_same_slots(make: Start, tmp_path: Path) -> None:
    async def take() -> list[object]:
        async with started(make, tmp_path) as source:
            return [
                (plvn, seen.human_driven, *seen.link_objects, *seen.link_distance_m, seen.vehicles)
                for _ in range(20)
                for plvn, seen in (await source.observe()).items()
            ]

    assert asyncio.run(take()) == asyncio.run(take())


@sources
def test_stopping_twice_is_harmless(make: Start, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with started(make, tmp_path) as source:
            await source.stop()

    asyncio.run(scenario())
