"""Scenarios of other people: what SUMO drives natively is what PLVNs see."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.support.roads import write_road
from tests.support.sumo_runs import running, slots
from twintier.plvn_agent.source import SourceError
from twintier.plvn_agent.sources.sumo.demand import Horizon
from twintier.plvn_agent.sources.sumo.scenario import load_scenario, sumo_environment, sumo_home
from twintier.plvn_agent.sources.sumo.scenario_xml import read_xml
from twintier.plvn_agent.sources.sumo.source import SumoSettings, prepare_inputs
from twintier.plvn_agent.sources.sumo.traffic import hash_id

pytestmark = pytest.mark.system
SHORT = SumoSettings(rsus=1, warmup_s=200, duration_sim_s=600.0)


def flow(name: str, **attributes: object) -> str:
    """A flow along the whole road."""
    given = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f'<flow id="{name}" from="first" to="second"{given}/>'


def write_config(
    folder: Path, demand: str, options: str = "", routes: str = "road.rou.xml"
) -> Path:
    """The road as a configuration of somebody else."""
    write_road(folder, demand)
    (folder / "road.rou.xml").rename(folder / routes)
    config = folder / "testville.sumocfg"
    config.write_text(
        f'<configuration><net-file value="road.net.xml"/><route-files value="{routes}"/>'
        f"{options}</configuration>"
    )
    return config


def natively(config: Path, seconds: int) -> dict[str, int]:
    """Teleports, collisions and vehicles of plain SUMO."""
    to = config.parent / "statistics.xml"
    command = [str(sumo_home() / "bin" / "sumo"), "-c", str(config), "--seed", "1"]
    command += ["--end", str(seconds), "--no-step-log", "--no-warnings"]
    command += ["--xml-validation", "never", "--statistic-output", str(to)]
    subprocess.run(command, check=True, capture_output=True, env=sumo_environment())
    root = read_xml(to)
    counts = (("teleports", "total"), ("safety", "collisions"), ("vehicles", "inserted"))
    elements = {tag: root.find(tag) for tag, _ in counts}
    return {
        tag: int(found.get(name, ""))
        for tag, name in counts
        if (found := elements[tag]) is not None
    }


COUNT = """
import json, sys
from twintier.plvn_agent.sources.sumo.traffic import Traffic
traffic = Traffic(json.loads(sys.argv[1]), seed=1, automated_share=0.3)
for _ in range(int(sys.argv[2])):
    traffic.step()
names = {"teleports": "teleports.total", "safety": "safety.collisions"}
names["vehicles"] = "vehicles.inserted"
import libsumo
told = {k: int(libsumo.simulation.getParameter("", f"stats.{n}")) for k, n in names.items()}
print("\\n" + json.dumps(told))
"""


def through_the_source(config: Path, seconds: int, scratch: Path) -> dict[str, int]:
    """The same of SUMO as the child runs it."""
    scratch.mkdir()
    horizon = Horizon(begin_s=0.0, end_s=float(seconds))
    arguments, _ = prepare_inputs(load_scenario(config), horizon, scratch, seed=1)
    told = subprocess.run(
        [sys.executable, "-c", COUNT, json.dumps(arguments), str(seconds)],
        check=True,
        capture_output=True,
        text=True,
        cwd=scratch,
        env={**sumo_environment(), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    counts: dict[str, int] = json.loads(told.stdout.splitlines()[-1])
    return counts


FAST = '<vType id="av" tau="0.3" minGap="0.5" sigma="0" speedDev="0.2"/>'
WAITING = (
    '<trip id="w" depart="5" from="first" to="second">'
    '<stop lane="first_0" startPos="700" endPos="710" duration="250"/></trip>'
    '<trip id="x" depart="5" from="first" to="second">'
    '<stop lane="first_1" startPos="700" endPos="710" duration="250"/></trip>'
)
JAMMED = WAITING + flow("f", begin=10, period=10, number=29)


@pytest.mark.parametrize(
    ("demand", "options", "seconds"),
    [
        (FAST + flow("f", type="av", begin=0, period=0.7, end=120, departSpeed="max"),
         '<step-length value="0.1"/>', 120),
        (JAMMED, "", 300),
        (JAMMED, '<time-to-teleport value="-1"/>', 300),
        (JAMMED, '<time-to-teleport value="60"/>', 300),
    ],
    ids=["fast drivers", "teleports by default", "no teleports", "early teleports"],
)  # fmt: skip
def test_vehicles_teleport_and_collide_as_natively(
    tmp_path: Path, demand: str, options: str, seconds: int
) -> None:
    config = write_config(tmp_path, demand, options)
    seen = through_the_source(config, seconds, tmp_path / "scratch")
    assert seen == natively(config, seconds)
    assert seen["vehicles"] > 20


def test_a_step_that_drivers_are_too_fast_for_is_shortened_and_said(tmp_path: Path) -> None:
    config = write_config(
        tmp_path, FAST + flow("f", type="av", begin=0, period=0.7, end=120, departSpeed="max")
    )
    with capture_logs() as logs:
        seen = through_the_source(config, 120, tmp_path / "scratch")
    assert (seen["teleports"], seen["safety"]) == (0, 0)
    (said,) = [entry for entry in logs if entry["event"] == "step_length_changed"]
    assert (said["given_s"], said["used_s"], said["least_tau_s"]) == (1.0, 0.25, 0.3)


def test_an_option_that_is_not_kept_is_named(tmp_path: Path) -> None:
    config = write_config(tmp_path, flow("f", begin=0, period=5), '<load-state value="s.xml"/>')
    with capture_logs() as logs:
        through_the_source(config, 5, tmp_path / "scratch")
    assert [e["options"] for e in logs if e["event"] == "scenario_options_ignored"] == [
        ["load-state"]
    ]


def test_what_sumo_opens_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AREA", "old town")
    config = write_config(tmp_path, flow("f", begin=0, period=2), routes="my old town.rou.xml")
    config.write_text(config.read_text().replace("old town", "${AREA}"))
    scratch = tmp_path / "a, b"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))

    async def run() -> int:
        async with running(load_scenario(config), SHORT) as source:
            return sum(slot.vehicle_number or 0 for slot in await slots(source, 5))

    assert asyncio.run(run()) > 0


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


ROUTES = 'from="first" to="second"'


@pytest.mark.parametrize(
    ("demand", "options"),
    [
        (f'<flow id="f" begin="0" period="3" number="195" {ROUTES}/>', ""),
        (f'<flow id="f" probability="0.4" number="190" {ROUTES}/>', ""),
        (flow("f", begin=0, end=500, period=3) + f'<trip id="late" depart="20000" {ROUTES}/>',
         '<end value="600"/>'),
    ],
    ids=["number", "number by chance", "straggler"],
)  # fmt: skip
def test_demand_lasts(tmp_path: Path, demand: str, options: str) -> None:
    config = write_config(tmp_path, demand, options)

    async def run() -> list[float]:
        async with running(load_scenario(config), replace(SHORT, duration_sim_s=3e4)) as source:
            return [slot.vehicle_number or 0.0 for slot in await slots(source, 900)]

    members = asyncio.run(run())
    assert np.mean(members[300:]) == pytest.approx(np.mean(members[:100]), rel=0.2)


def test_the_warm_up_follows_the_first_vehicle(tmp_path: Path) -> None:
    late = write_road(tmp_path, flow("f", begin=650, period=2))

    async def run() -> tuple[list[int], list[float]]:
        async with running(late, SHORT) as source:
            (profile,) = source.plvns
            history = source.history(profile.plvn)
            seen = await slots(source, 5)
            return [slot.slot for slot in (*history, *seen)], [s.vehicle_number or 0 for s in seen]

    numbers, members = asyncio.run(run())
    assert numbers == list(range(750, 855))
    assert min(members) > 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("+zone=32", "+zone=31", "so its zone or offset is another"),
        ('origBoundary="11', 'origBoundary="999', "has no origin"),
    ],
    ids=["zone", "origin"],
)
def test_a_network_at_another_place_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    road = write_road(tmp_path, flow("f", begin=0, period=2))
    text = road.network.read_text()
    if message == "has no origin":
        text = re.sub('projParameter="[^"]*"', 'projParameter="+proj=tmerc +ellps=WGS84"', text)
        text = re.sub('netOffset="[^"]*"', 'netOffset="0.00,0.00"', text)
    assert old in text
    road.network.write_text(text.replace(old, new))

    async def run() -> None:
        async with running(road, SHORT):
            pass

    with pytest.raises(SourceError, match=message):
        asyncio.run(run())
