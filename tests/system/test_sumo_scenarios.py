"""Scenarios of other people: what SUMO drives natively is what PLVNs see."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.roads import write_road
from tests.support.sumo_runs import running, slots
from twintier.plvn_agent.source import SourceError
from twintier.plvn_agent.sources.sumo.source import SumoSettings
from twintier.plvn_agent.sources.sumo.traffic import hash_id

pytestmark = pytest.mark.system
SHORT = SumoSettings(rsus=1, warmup_s=200, duration_sim_s=600.0)


def flow(name: str, **attributes: object) -> str:
    """A flow along the whole road."""
    given = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f'<flow id="{name}" from="first" to="second"{given}/>'


def test_only_road_motor_vehicles_are_members(tmp_path: Path) -> None:
    classes = ("bicycle", "tram", "rail", "ship", "scooter")
    demand = "".join(f'<vType id="{name}" vClass="{name}"/>' for name in classes)
    demand += "".join(flow(name, type=name, period=30, begin=0) for name in classes)
    demand += flow("car", period=4, begin=1)
    settings = replace(SHORT, cav_share=1.0)

    async def run() -> tuple[set[str], set[float]]:
        async with running(write_road(tmp_path, demand), settings) as source:
            seen = await slots(source, 60)
            human_driven = {slot.human_driven or 0 for slot in seen}
            return {vehicle.vehicle for slot in seen for vehicle in slot.vehicles}, human_driven

    members, human_driven = asyncio.run(run())
    assert members
    assert members <= {hash_id(f"car.{n}", settings.seed).hex() for n in range(100)}
    assert human_driven == {0}


def test_bicycles_alone_make_no_plvn(tmp_path: Path) -> None:
    demand = '<vType id="b" vClass="bicycle"/>' + flow("f", type="b", period=2, begin=0)

    async def run() -> None:
        async with running(write_road(tmp_path, demand), SHORT):
            pass

    with pytest.raises(SourceError, match="the warm-up showed traffic at 0 spots, not at 1"):
        asyncio.run(run())
