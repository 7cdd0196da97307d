"""Sources by name and option."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twintier.plvn_agent.source import Source, SourceError
from twintier.plvn_agent.sources.builtin import BuiltinSource, builtin_profiles
from twintier.plvn_agent.sources.sumo.roads import SENSOR_RANGE_M
from twintier.plvn_agent.sources.sumo.scenario import SumoScenario, demo_scenarios, load_scenario
from twintier.plvn_agent.sources.sumo.source import SumoSettings, SumoSource, deployment_of
from twintier.protocol.ids import PlvnId

SOURCES = ("builtin", "sumo")
DEMO_NETWORKS = ("berlin", "braunschweig")


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Which vehicles, and under which conditions."""

    source: str
    """Source of vehicles: builtin, sumo, or one that is installed."""
    network: str = ""
    """`berlin`, `braunschweig`, or the path of a SUMO configuration; sumo only."""
    plvns: int = 4
    """Built-in PLVNs; builtin only."""
    rsus: int = 4
    """RSUs, so PLVNs, of a network; sumo only."""
    seed: int = 1
    """Seed of the source."""
    start_hour: float = 8.0
    """Civil hour of the first simulated second."""
    constant: bool = False
    """Whether demand and hidden conditions stay as they are."""
    duration_sim_s: float = 7200.0
    """Simulated seconds of online operation that demand must last for."""


def check_source(name: str) -> None:
    """Raise unless there is a source of that name.

    Raises:
        SourceError: with the names that there are.
    """
    if name not in SOURCES:
        raise SourceError(f"no source is named {name!r}; choose one of {', '.join(SOURCES)}")


def make_source(options: SourceOptions) -> Source:
    """A source, not started yet.

    Raises:
        SourceError: if there is no such source, or the options name no network.
    """
    check_source(options.source)
    if options.source == "builtin":
        return BuiltinSource(
            plvns=options.plvns,
            seed=options.seed,
            start_hour=options.start_hour,
            constant=options.constant,
        )
    settings = SumoSettings(
        seed=options.seed,
        rsus=options.rsus,
        start_hour=options.start_hour,
        constant=options.constant,
        duration_sim_s=options.duration_sim_s,
    )
    return SumoSource(scenario_of(options.network), settings)


def scenario_of(network: str) -> SumoScenario:
    """`berlin` or `braunschweig` of SUMO's wheel, or the configuration at a path.

    Raises:
        SourceError: if it cannot be used.
    """
    if network in DEMO_NETWORKS:
        return demo_scenarios()[DEMO_NETWORKS.index(network)]
    return load_scenario(Path(network))


def possible_plvns(options: SourceOptions) -> Sequence[PlvnId]:
    """Every PLVN that a source may turn out to have; SUMO finds its kind of road when it starts.

    Raises:
        SourceError: if the options name no network.
    """
    if options.source == "builtin":
        return [profile.plvn for profile in builtin_profiles(options.plvns)]
    scenario = scenario_of(options.network)
    roads = list(SENSOR_RANGE_M) if scenario.road is None else [scenario.road]
    deployments = [deployment_of(scenario.city[:64], road) for road in roads]
    numbers = range(1, options.rsus + 1)
    return [PlvnId(f"{deployment}-rsu{number}") for deployment in deployments for number in numbers]
