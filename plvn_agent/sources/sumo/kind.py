"""SUMO as a source by name and option."""

from collections.abc import Sequence
from pathlib import Path

from twintier.plvn_agent.sources.registry import SourceOptions
from twintier.plvn_agent.sources.sumo.libraries import sumo_problem
from twintier.plvn_agent.sources.sumo.roads import SENSOR_RANGE_M
from twintier.plvn_agent.sources.sumo.scenario import SumoScenario, demo_scenarios, load_scenario
from twintier.plvn_agent.sources.sumo.source import SumoSettings, SumoSource, deployment_of
from twintier.protocol.ids import PlvnId

DEMO_NETWORKS = ("berlin", "braunschweig")


def scenario_of(network: str) -> SumoScenario:
    """`berlin` or `braunschweig` of SUMO's wheel, or the configuration at a path.

    Raises:
        SourceError: if it cannot be used.
    """
    if network in DEMO_NETWORKS:
        return demo_scenarios()[DEMO_NETWORKS.index(network)]
    return load_scenario(Path(network))


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
            duration_sim_s=options.duration_sim_s,
        )
        return SumoSource(scenario_of(options.network), settings)

    def possible_plvns(self, options: SourceOptions) -> Sequence[PlvnId]:
        """Those of each class of roads, for SUMO finds the class when it starts.

        Raises:
            SourceError: if the options name no network that can be used.
        """
        scenario = scenario_of(options.network)
        roads = list(SENSOR_RANGE_M) if scenario.road is None else [scenario.road]
        deployments = [deployment_of(scenario.city[:64], road) for road in roads]
        numbers = range(1, options.rsus + 1)
        return [PlvnId(f"{name}-rsu{number}") for name in deployments for number in numbers]
