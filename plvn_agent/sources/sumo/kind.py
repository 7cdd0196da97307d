"""SUMO as a source by name and option."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from twintier.plvn_agent.source import SourceError
from twintier.plvn_agent.sources.registry import SourceOptions
from twintier.plvn_agent.sources.sumo.libraries import sumo_problem
from twintier.plvn_agent.sources.sumo.roads import SENSOR_RANGE_M
from twintier.plvn_agent.sources.sumo.scenario import SumoScenario, demo_scenarios, load_scenario
from twintier.plvn_agent.sources.sumo.source import SumoSettings, SumoSource, plvn_ids
from twintier.protocol.errors import InvalidIdError
from twintier.protocol.ids import PlvnId, check_level

DEMO_NETWORKS = ("berlin", "braunschweig")


MAX_NAME_LENGTH = 40


def scenario_of(options: SourceOptions) -> SumoScenario:
    """`berlin` or `braunschweig` of SUMO's wheel, or the configuration at a path.

    Raises:
        SourceError: if it cannot be used, or its name cannot begin an id.
    """
    network = options.network
    if network in DEMO_NETWORKS:
        scenario = demo_scenarios()[DEMO_NETWORKS.index(network)]
    else:
        scenario = load_scenario(Path(network))
    return replace(scenario, city=options.city or scenario.city, name=_checked(options.name))


def _checked(name: str) -> str:
    if len(name) > MAX_NAME_LENGTH:
        raise SourceError(f"name {name!r} has over {MAX_NAME_LENGTH} characters; shorten it")
    try:
        return check_level(name) if name else ""
    except InvalidIdError as error:
        raise SourceError(f"name {name!r} cannot begin an id of a PLVN: {error}") from error


class Sumo:
    """The kind of source that options name `sumo`; it runs on a network."""

    def problem(self) -> str | None:
        """Why SUMO cannot run on this machine; None if it can."""
        return sumo_problem()

    def make(self, options: SourceOptions) -> SumoSource:
        """The network's RSUs as PLVNs.

        Raises:
            SourceError: if the options name no network that can be used.
        """
        settings = SumoSettings(
            seed=options.seed,
            rsus=options.rsus,
            start_hour=options.start_hour,
            constant=options.constant,
            warmup_s=options.warmup_s,
            duration_sim_s=options.duration_sim_s,
        )
        return SumoSource(scenario_of(options), settings)

    def possible_plvns(self, options: SourceOptions) -> Sequence[PlvnId]:
        """Those of each class of roads, for SUMO finds the class when it starts.

        Raises:
            SourceError: if the options name no network that can be used.
        """
        scenario = scenario_of(options)
        roads = list(SENSOR_RANGE_M) if scenario.road is None else [scenario.road]
        possible = (plvn for road in roads for plvn in plvn_ids(scenario, road, options.rsus))
        return list(dict.fromkeys(possible))
