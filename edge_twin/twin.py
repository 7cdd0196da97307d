"""The twin of one PLVN: its copy of the network, its emulator, and what it manages. No I/O."""

from dataclasses import dataclass, field

from twintier.edge_twin.adaptation import ManagedInmf
from twintier.edge_twin.attributes import TimeOfDay, category_of, extract
from twintier.edge_twin.jobs import TaskTwin
from twintier.edge_twin.life_cycle import Waiting
from twintier.edge_twin.mirror import Mirror, trace_of
from twintier.edge_twin.settings import EdgeSettings
from twintier.inmf.perception.condition import Condition
from twintier.inmf.perception.emulator import EmulatorParameters, expert
from twintier.inmf.perception.exogenous import fit_exogenous
from twintier.protocol.ids import CategoryKey, InmfId, PlvnId
from twintier.protocol.messages import AttributesReported, Grant, Site, TelemetryReported

REFIT_SLOTS = 300
"""Telemetry since the last fit of the exogenous models that asks for a new one."""


@dataclass(frozen=True, slots=True)
class TwinRecord:
    """A twin as the store keeps it."""

    grant: Grant
    site: Site
    requested_inmfs: tuple[InmfId, ...]


@dataclass(slots=True)
class Twin:
    """One PLVN on this edge server."""

    record: TwinRecord
    settings: EdgeSettings
    valid_until: float
    """Wall time at which the grant ends unless it is renewed."""
    mirror: Mirror
    time_of_day: TimeOfDay = field(default_factory=TimeOfDay)
    managed: dict[InmfId, ManagedInmf] = field(default_factory=dict)
    category: CategoryKey | None = None
    """As the cloud twin has assigned it."""
    category_version: int = 0
    category_boot: str = ""
    """Process of the cloud twin that counts the versions; another begins anew."""
    sim_time_s: float = 0.0
    attributes_due_s: float = 0.0
    fitted: EmulatorParameters | None = None
    slots_seen: int = 0
    slots_fitted: int = 0

    @property
    def plvn(self) -> PlvnId:
        """Its PLVN."""
        return self.record.grant.plvn

    def manage(self, requested: tuple[InmfId, ...]) -> None:
        """Manage exactly these INMFs."""
        for inmf in requested:
            if inmf not in self.managed:
                waiting = Waiting(0, self.settings.exchange_slots)
                self.managed[inmf] = ManagedInmf(
                    self.plvn,
                    inmf,
                    self.settings,
                    self.mirror,
                    waiting,
                    self.record.grant.fence,
                )
        for inmf in set(self.managed) - set(requested):
            del self.managed[inmf]

    def on_telemetry(
        self, message: TelemetryReported, sim_time_s: float
    ) -> AttributesReported | None:
        """Take telemetry in; returns attributes when they are due or the category changed."""
        self.mirror.add_telemetry(message)
        self.slots_seen += int(message.slots.shapes[0].shape[0])
        self.sim_time_s = max(self.sim_time_s, sim_time_s)
        before = self.key()
        self.time_of_day = self.time_of_day.at(message.hour)
        if self.sim_time_s < self.attributes_due_s and self.key() == before:
            return None
        return self.attributes()

    def attributes(self) -> AttributesReported:
        """Attributes as of now; the next are due one period later, on an even grid."""
        period = self.settings.attributes_period_s
        self.attributes_due_s = (self.sim_time_s // period + 1) * period
        return extract(
            self.mirror,
            self.record.site,
            self.time_of_day,
            window_slots=int(self.settings.attributes_window_s),
            sim_time_s=self.sim_time_s,
        )

    def key(self) -> CategoryKey:
        """The category that the twin's own attributes give."""
        return category_of(self.record.site, self.time_of_day)

    def emulator(self) -> EmulatorParameters:
        """Exogenous models fitted to telemetry; expert values before there is any."""
        if self.fitted is not None and self.slots_seen - self.slots_fitted < REFIT_SLOTS:
            return self.fitted
        prior = expert(city=self.record.site.city, road=self.record.site.road)
        rows = self.mirror.telemetry.newest(self.settings.telemetry_slots)
        self.fitted = fit_exogenous(trace_of(rows), prior) if rows else prior
        self.slots_fitted = self.slots_seen
        return self.fitted

    def task(self, inmf: InmfId, seed: int) -> TaskTwin:
        """Its part in a meta task."""
        managed = self.managed.get(inmf)
        calibration = None if managed is None else managed.calibration
        particles: tuple[Condition, ...] = ()
        if calibration is not None:
            particles = tuple(Condition.from_array(row) for row in calibration.particles)
        return TaskTwin(self.plvn, self.emulator(), particles, seed)
