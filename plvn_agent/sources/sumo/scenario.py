"""SUMO scenarios: where SUMO is, what a scenario consists of, and which ones can be used."""

import importlib.util
import os
from dataclasses import dataclass, replace
from pathlib import Path

from twintier.plvn_agent.source import SourceError
from twintier.plvn_agent.sources.sumo.config import read_config
from twintier.plvn_agent.sources.sumo.place import check_projected

INSTALL_LINE = "pip install 'twintier[sumo]'"
BRAUNSCHWEIG_SENSOR_RANGE_M = 60.0
"""Assumed: its traffic is thin, and a workload of about 6 objects makes modes worth choosing."""
_GENERIC_NAMES = frozenset({"run", "sumo", "osm", "config", "scenario", "sim", "simulation"})


@dataclass(frozen=True, slots=True)
class RandomTrips:
    """Demand from SUMO's randomTrips.py, for a network that has too little of its own."""

    period_s: float
    """Seconds between two departures."""
    fringe_factor: float = 5.0
    min_distance_m: float = 300.0


@dataclass(frozen=True, slots=True)
class SumoScenario:
    """A geo-referenced road network and its demand."""

    city: str
    network: Path
    name: str = ""
    """Beginning of the ids of its PLVNs; empty: city and road."""
    road: str | None = None
    """None: the class of the mean speed limit where its vehicles drive."""
    routes: tuple[Path, ...] = ()
    additional: tuple[Path, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    """Further SUMO options, name and value."""
    ignored: tuple[str, ...] = ()
    """Names of its configuration's options that may shape traffic and are not kept."""
    begin_s: float = 0.0
    end_s: float | None = None
    """When its own demand ends; None: with its last departure."""
    step_s: float | None = None
    """Length of its steps; None: a second, or less where drivers react faster."""
    trips: RandomTrips | None = None
    sensor_range_m: float | None = None
    """Objects within this range of the receiver are its workload; None: by road class."""
    lights_wait: bool = False
    """Its traffic lights wait for a player, so they need programs of ours."""


def sumo_home() -> Path:
    """The folder of the installed SUMO.

    Raises:
        SourceError: if SUMO is not installed.
    """
    for module in ("libsumo", "sumo"):
        if importlib.util.find_spec(module) is None:
            raise SourceError(f"SUMO is not installed (no module {module}); run: {INSTALL_LINE}")
    spec = importlib.util.find_spec("sumo")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def sumo_environment() -> dict[str, str]:
    """Environment for SUMO and its tools: where its data and the projections are."""
    home = sumo_home()
    projections = str(home / "data" / "proj")
    own = {"SUMO_HOME": str(home), "PROJ_LIB": projections, "PROJ_DATA": projections}
    return {**os.environ, **own}


def check_scenario(scenario: SumoScenario) -> None:
    """Refuse what cannot be used, before anything is started.

    Raises:
        SourceError: if a file is missing or the network has no projection.
    """
    for path in (scenario.network, *scenario.routes, *scenario.additional):
        if not path.is_file():
            raise SourceError(f"scenario {scenario.city}: {path} does not exist; mend the path")
    check_projected(scenario.network)


def load_scenario(path: Path, city: str | None = None, road: str | None = None) -> SumoScenario:
    """Take a .sumocfg apart.

    Args:
        path: the configuration file.
        city: name for ids and categories; the scenario's name if None.
        road: road class; the class of the mean speed limit if None.

    Raises:
        SourceError: if a file is missing, unreadable, or the network has no projection.
    """
    path = path.absolute()
    config = read_config(path)
    name = path.parent.name if path.stem.lower() in _GENERIC_NAMES else path.stem
    scenario = SumoScenario(
        city=city or name,
        road=road,
        network=config.network,
        routes=config.routes,
        additional=config.additional,
        options=config.options,
        ignored=config.ignored,
        begin_s=config.begin_s,
        end_s=config.end_s,
        step_s=config.step_s,
    )
    check_scenario(scenario)
    return scenario


def demo_scenarios() -> tuple[SumoScenario, SumoScenario]:
    """The two real networks of the demo, which SUMO's wheel ships with its game.

    Demand is as high as each flows with for hours: at full scale Berlin jams, and Braunschweig
    does without rerouting or with a departure a second.

    Raises:
        SourceError: if SUMO is not installed or lacks them.
    """
    game = sumo_home() / "tools" / "game"
    berlin = load_scenario(game / "A10KW.sumocfg", city="berlin", road="highway")
    berlin = replace(
        berlin,
        lights_wait=True,
        step_s=1.0,
        options=(*berlin.options, ("scale", "0.8"), ("time-to-teleport", "120")),
    )
    braunschweig = SumoScenario(
        city="braunschweig",
        road="local",
        network=game / "bs3d" / "bs.net.xml",
        trips=RandomTrips(period_s=1.3),
        sensor_range_m=BRAUNSCHWEIG_SENSOR_RANGE_M,
        options=(
            ("device.rerouting.probability", "1"),
            ("device.rerouting.period", "60"),
            ("ignore-route-errors", "true"),
            ("time-to-teleport", "120"),
        ),
        lights_wait=True,
    )
    check_scenario(braunschweig)
    return berlin, braunschweig
