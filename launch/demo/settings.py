"""What the user of the demo asked for, and what follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from twintier.broker.mqtt.link import MqttSettings
from twintier.cloud_twin.settings import CloudSettings
from twintier.edge_twin.settings import EdgeSettings
from twintier.launch.instruments import Instruments
from twintier.launch.roles import instruments_of
from twintier.launch.settings.errors import SettingError
from twintier.launch.settings.own import DemoSettings, DeploymentSettings
from twintier.launch.settings.resolve import Given, Settings
from twintier.launch.sources import DEMO_NETWORKS, SourceOptions, possible_plvns
from twintier.plvn_agent.settings import AgentSettings
from twintier.plvn_agent.slot_loop import HostSettings

UNENDING_S = 3600.0
"""Wall seconds that demand is made for where the run has no stated end."""
SLACK_S = 60.0
"""Wall seconds for which the networks may wait for one another."""
EDGES = ("edge-1", "edge-2")


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """The sections of the settings that a demo is made of."""

    demo: DemoSettings
    deployment: DeploymentSettings
    vehicles: SourceOptions
    """As set; each process of agents has its own network."""
    cloud: CloudSettings
    edge: EdgeSettings
    agent: AgentSettings
    host: HostSettings
    mqtt: MqttSettings
    instruments: Instruments = field(default_factory=Instruments)
    """Recordings and faults of all processes."""
    given: Given = field(default_factory=Given)
    """What the processes of the demo are told as well."""
    stands_in_for: str = ""
    """The source that was asked for, where another one drives the vehicles."""
    because: str = ""
    """Why it is another one, and what mends it."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The options that settings ask for.

        Raises:
            SettingError: if a value cannot be used.
        """
        deployment = settings.of(DeploymentSettings)
        demo, vehicles = settings.of(DemoSettings), settings.of(SourceOptions)
        if demo.source == "sumo" and demo.scenario is None and (vehicles.city or vehicles.name):
            raise SettingError(
                "source.city and source.name cannot be set for two networks",
                "the demo runs Berlin and Braunschweig, whose PLVNs would get the same ids",
                "name one scenario with --scenario",
            )
        return cls(
            demo,
            deployment,
            vehicles,
            settings.of(CloudSettings),
            settings.of(EdgeSettings),
            settings.of(AgentSettings),
            settings.of(HostSettings),
            settings.of(MqttSettings),
            instruments_of(deployment),
            settings.given,
        )

    @property
    def source(self) -> str:
        """Name of the source of vehicles."""
        return self.demo.source

    @property
    def inmfs(self) -> tuple[str, ...]:
        """Names of the INMFs that are managed."""
        return self.deployment.inmfs

    @property
    def edges(self) -> Sequence[str]:
        """The edge servers."""
        return EDGES

    @property
    def networks(self) -> Sequence[str]:
        """One process of agents each: names or paths of their networks."""
        if self.source != "sumo":
            return (self.source,)
        return DEMO_NETWORKS if self.demo.scenario is None else (str(self.demo.scenario),)

    @property
    def expected_plvns(self) -> int:
        """PLVNs that planning waits for."""
        if self.source == "sumo":  # which finds at most that many on its roads
            return self.vehicles.rsus * len(self.networks)
        options = [self.source_options(network) for network in self.networks]
        return sum(len(possible_plvns(each)) for each in options)

    def source_options(self, network: str) -> SourceOptions:
        """The source of one process of agents."""
        online_s = UNENDING_S if self.demo.duration_s is None else self.demo.duration_s
        return replace(
            self.vehicles,
            source=self.source,
            network=network,
            duration_sim_s=(self.cloud.planning_s + online_s + SLACK_S) * self.host.speed,
        )

    def cloud_settings(self) -> CloudSettings:
        """The cloud twin's."""
        return replace(
            self.cloud, expected_edges=len(self.edges), expected_plvns=self.expected_plvns
        )

    def edge_settings(self) -> Sequence[EdgeSettings]:
        """Each edge server's: at its network, or both at one place to share its load."""
        sites = ((0.0, 0.0), (0.0, 0.0))
        if self.source == "builtin":
            sites = ((43.65, -79.38), (49.26, -123.12))
        elif self.source == "sumo" and self.demo.scenario is None:
            sites = ((52.53, 13.29), (52.26, 10.52))
        return [replace(self.edge, lat_deg=lat, lon_deg=lon) for lat, lon in sites]
