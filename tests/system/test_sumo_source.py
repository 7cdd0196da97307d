"""SUMO in a process of its own: what it shows, and how it ends."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.roads import FLOW, write_road
from tests.support.sumo_runs import running, slots
from twintier.inmf.traffic import Traffic
from twintier.plvn_agent.source import SourceError
from twintier.plvn_agent.sources.sumo.scenario import demo_scenarios, load_scenario
from twintier.plvn_agent.sources.sumo.source import SumoSettings, SumoSource
from twintier.protocol.ids import PlvnId

pytestmark = [pytest.mark.system, pytest.mark.sumo]
ROOT = Path(__file__).parents[2]
BOLOGNA = ROOT.parent / "shared" / "data" / "sumo-bologna-acosta" / "run.sumocfg"
needs_bologna = pytest.mark.skipif(
    not BOLOGNA.is_file(), reason=f"the Bologna scenario is not at {BOLOGNA}"
)
SHORT = SumoSettings(rsus=2, warmup_s=200, duration_sim_s=600.0)


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files that nobody else uses."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  another process is waited for
            await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@needs_bologna
def test_bologna_gives_plvns_with_pairs_and_stays_untouched() -> None:
    before = snapshot(BOLOGNA.parent)

    async def scenario() -> tuple[list[PlvnId], list[Traffic], list[Traffic]]:
        loaded = load_scenario(BOLOGNA, city="bologna")
        settings = SumoSettings(warmup_s=240, duration_sim_s=600.0)
        async with running(loaded, settings) as source:
            ids = [profile.plvn for profile in source.plvns]
            history = [slot for plvn in source.plvns for slot in source.history(plvn.plvn)]
            return ids, history, await slots(source, 60)

    ids, history, seen = asyncio.run(scenario())
    assert ids == [f"bologna-local-rsu{number}" for number in (1, 2, 3, 4)]
    assert len(history) == 4 * 120
    assert [slot.slot for slot in history[:120]] == list(range(120, 240))
    assert np.mean([slot.link_present for slot in seen]) > 0.8
    shares = [slot.mean_speed_share for slot in seen if slot.mean_speed_share is not None]
    assert 0.0 <= min(shares) <= max(shares) < 1.5
    vehicles = [vehicle for slot in seen for vehicle in slot.vehicles]
    assert all(len(v.vehicle) == 16 and int(v.vehicle, 16) >= 0 for v in vehicles)
    assert all(v.lat_deg is not None and 44.48 < v.lat_deg < 44.52 for v in vehicles)
    assert all(v.lon_deg is not None and 11.29 < v.lon_deg < 11.34 for v in vehicles)
    assert snapshot(BOLOGNA.parent) == before


def test_nothing_is_written_beside_a_scenario_and_scratch_goes(
    tmp_path: Path, scratch: Path
) -> None:
    beside = tmp_path / "beside"
    beside.mkdir()
    scenario = write_road(beside)
    (beside / "out.add.xml").write_text(
        '<additional><edgeData id="d" file="edges.out.xml"/></additional>'
    )
    scenario = replace(scenario, additional=(beside / "out.add.xml",))
    before = snapshot(beside)

    async def run() -> None:
        async with running(scenario, SHORT) as source:
            await slots(source, 5)
            assert len(snapshot(scratch)) >= 3

    asyncio.run(run())
    assert snapshot(beside) == before
    assert list(scratch.iterdir()) == []


def test_the_loop_goes_on_while_sumo_warms_up(tmp_path: Path) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    async def run() -> None:
        ticking = asyncio.ensure_future(tick())
        async with running(write_road(tmp_path), SHORT):
            ticking.cancel()

    asyncio.run(run())
    assert ticks > 100


def test_a_killed_child_is_reported(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(write_road(tmp_path), SHORT) as source:
            assert source.child_pid is not None
            os.kill(source.child_pid, signal.SIGKILL)
            with pytest.raises(SourceError, match=r"SUMO's process ended \(exit code -9\)"):
                await slots(source, 600)

    asyncio.run(run())


def test_the_child_ends_with_a_killed_parent(tmp_path: Path, scratch: Path) -> None:
    write_road(tmp_path)
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from twintier.plvn_agent.sources.sumo.scenario import SumoScenario\n"
        "from twintier.plvn_agent.sources.sumo.source import SumoSettings, SumoSource\n"
        "folder = Path(sys.argv[1])\n"
        "async def run():\n"
        "    scenario = SumoScenario('t', folder / 'road.net.xml',"
        " routes=(folder / 'road.rou.xml',))\n"
        "    source = SumoSource(scenario, SumoSettings(rsus=2, warmup_s=200))\n"
        "    await source.start()\n"
        "    print(source.child_pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(run())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = next(int(line) for line in parent.stdout if line.strip().isdigit())
        assert alive(child)
        assert len(list(scratch.iterdir())) == 1
        parent.kill()
    asyncio.run(until(lambda: not alive(child)))
    asyncio.run(until(lambda: not list(scratch.iterdir())))


def test_demand_is_repeated_until_the_end_and_then_says_so(tmp_path: Path) -> None:
    once = "".join(
        f'<trip id="é/{n}" depart="{n}" from="first" to="second"/>' for n in range(0, 100, 2)
    )

    async def run() -> None:
        settings = SumoSettings(rsus=1, warmup_s=200, duration_sim_s=400.0)
        async with running(write_road(tmp_path, once), settings) as source:
            seen = await slots(source, 400)
            assert min(slot.vehicle_number or 0 for slot in seen) > 0
            with pytest.raises(
                SourceError, match=r"ended after \d+ simulated seconds; .* --demand-s"
            ):
                await slots(source, 2000)

    asyncio.run(run())


def test_parked_vehicles_are_no_members(tmp_path: Path) -> None:
    parked = "".join(
        f'<trip id="p{n}" depart="{n}" from="first" to="second">'
        f'<stop lane="first_0" startPos="{700 + n}" endPos="{710 + n}" parking="true"'
        ' duration="9000"/></trip>'
        for n in range(20)
    )

    async def run() -> list[Traffic]:
        settings = SumoSettings(rsus=1, warmup_s=400, duration_sim_s=600.0, cav_share=1.0)
        moving = FLOW.replace('period="2"', 'period="40"')
        moving += '<trip id="last" depart="990" from="first" to="second"/>'
        async with running(write_road(tmp_path, parked + moving), settings) as source:
            return await slots(source, 100)

    seen = asyncio.run(run())
    assert max(slot.vehicle_number or 0 for slot in seen) < 10
    assert all(v.speed_mps is not None for slot in seen for v in slot.vehicles)


def test_every_vehicle_automated_or_none(tmp_path: Path) -> None:
    async def run(share: float) -> list[Traffic]:
        settings = replace(SHORT, cav_share=share)
        async with running(write_road(tmp_path), settings) as source:
            return await slots(source, 50)

    none, every = asyncio.run(run(0.0)), asyncio.run(run(1.0))
    assert not any(slot.link_present.any() for slot in none)
    assert all(slot.human_driven == 0 for slot in every)
    assert np.mean([slot.link_present for slot in every]) > 0.8


def test_human_driven_vehicles_are_counted_and_the_hour_says_how_active(tmp_path: Path) -> None:
    async def run(hour: float) -> list[Traffic]:
        settings = replace(SHORT, cav_share=0.0, start_hour=hour, rsus=1)
        demand = FLOW.replace('period="2"', 'period="1"')
        async with running(write_road(tmp_path, demand), settings) as source:
            return await slots(source, 20)

    for hour, activity in ((7.0, 1.0), (12.0, 0.8)):
        seen = asyncio.run(run(hour))
        assert {slot.activity for slot in seen} == {activity}
        assert all(isinstance(slot.human_driven, int) for slot in seen)
        assert all(slot.human_driven == slot.vehicle_number for slot in seen)


def test_too_little_traffic_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(write_road(tmp_path, ""), SHORT):
            pass

    with pytest.raises(
        SourceError, match=r"a warm-up of more than 200 s \(--warmup-s\), or more demand"
    ):
        asyncio.run(run())


def test_what_sumo_says_of_a_broken_scenario_is_passed_on(tmp_path: Path) -> None:
    async def run() -> None:
        astray = '<vehicle id="a" depart="0"><route edges="nowhere"/></vehicle>'
        async with running(write_road(tmp_path, astray), SHORT):
            pass

    with pytest.raises(SourceError, match="The edge 'nowhere' within the route"):
        asyncio.run(run())


def test_a_source_that_was_not_started_says_so(tmp_path: Path) -> None:
    source = SumoSource(write_road(tmp_path), SHORT)
    with pytest.raises(SourceError, match="start the source first"):
        asyncio.run(source.observe())


@pytest.mark.parametrize("index", [0, 1], ids=["berlin", "braunschweig"])
def test_the_demo_networks_give_four_plvns_each(index: int) -> None:
    scenario = demo_scenarios()[index]
    before = snapshot(scenario.network.parent)

    async def run() -> tuple[list[PlvnId], list[Traffic]]:
        settings = SumoSettings(warmup_s=300, duration_sim_s=600.0)
        async with running(scenario, settings) as source:
            return [profile.plvn for profile in source.plvns], await slots(source, 60)

    ids, seen = asyncio.run(run())
    name = ("berlin-highway", "braunschweig-local")[index]
    assert ids == [f"{name}-rsu{number}" for number in (1, 2, 3, 4)]
    assert np.mean([slot.link_present for slot in seen]) > 0.4
    assert snapshot(scenario.network.parent) == before
