"""What the user of the demo asked for, and what follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twintier.cloud_twin.settings import CloudSettings
from twintier.edge_twin.settings import EdgeSettings
from twintier.launch.instruments import Instruments, make_instruments
from twintier.launch.sources import DEMO_NETWORKS, SourceKind, SourceOptions

UNENDING_S = 3600.0
"""Wall seconds that demand is made for where the run has no stated end."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of `twintier demo`."""

    source: SourceKind = "sumo"
    plvns: int = 4
    scenario: Path | None = None
    broker: str = "auto"
    """`auto`, `mosquitto`, `nats`, `memory`, or the URL of one that runs."""
    duration_s: float | None = None
    """Wall seconds of online operation; None runs until Ctrl-C."""
    speed: float = 50.0
    rsus: int = 4
    constant: bool = False
    seed: int = 1
    start_hour: float = 8.0
    summary: Path | None = None
    state: Path | None = None
    planning_s: float = 90.0
    n_min: int = 4
    secure: bool = False
    """Whether Mosquitto is started with TLS, certificates and access rules."""
    inbox: Path | None = None
    """Folder for recordings of what each core is given."""
    inject: str = ""
    """Faults, as `broker.faulty.Faults` reads them."""

    @property
    def edges(self) -> Sequence[str]:
        """The edge servers."""
        return ("edge-1", "edge-2")

    @property
    def networks(self) -> Sequence[str]:
        """One process of agents each: names or paths of their networks."""
        if self.source == "builtin":
            return ("builtin",)
        return DEMO_NETWORKS if self.scenario is None else (str(self.scenario),)

    @property
    def expected_plvns(self) -> int:
        """PLVNs that planning waits for."""
        return self.plvns if self.source == "builtin" else self.rsus * len(self.networks)

    @property
    def instruments(self) -> Instruments:
        """Recordings and faults of all processes."""
        return make_instruments(self.inbox, self.inject)

    def source_options(self, network: str) -> SourceOptions:
        """The source of one process of agents."""
        online_s = UNENDING_S if self.duration_s is None else self.duration_s
        return SourceOptions(
            kind=self.source,
            network=network,
            plvns=self.plvns,
            rsus=self.rsus,
            seed=self.seed,
            start_hour=self.start_hour,
            constant=self.constant,
            duration_sim_s=(online_s + 30.0) * self.speed,
        )

    def cloud_settings(self) -> CloudSettings:
        """The cloud twin's."""
        return CloudSettings(
            expected_edges=len(self.edges),
            expected_plvns=self.expected_plvns,
            planning_s=self.planning_s,
            n_min=self.n_min,
            seed=self.seed,
        )

    def edge_settings(self) -> Sequence[EdgeSettings]:
        """Each edge server's: at its network, or both at one place to share its load."""
        sites = ((0.0, 0.0), (0.0, 0.0))
        if self.source == "builtin":
            sites = ((43.65, -79.38), (49.26, -123.12))
        elif self.scenario is None:
            sites = ((52.53, 13.29), (52.26, 10.52))
        return [EdgeSettings(lat_deg=lat, lon_deg=lon, seed=self.seed) for lat, lon in sites]
