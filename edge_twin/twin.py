"""The twin of one PLVN: what it knows of the network, and the INMFs that it manages. No I/O."""

from collections import deque
from dataclasses import dataclass, field
from functools import partial

from twintier.edge_twin.adaptation import ManagedInmf
from twintier.edge_twin.attributes import TimeOfDay, category_of, extract
from twintier.edge_twin.continuity import Courses, Judgement, Position
from twintier.edge_twin.isolation import spared
from twintier.edge_twin.jobs import TaskTwin
from twintier.edge_twin.settings import EdgeSettings
from twintier.inmf.registry import inmf_of, is_known
from twintier.protocol.columns import ColumnsError
from twintier.protocol.ids import CategoryKey, InmfId, PlvnId
from twintier.protocol.messages import AttributesReported, Grant, Site, TelemetryReported


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
    time_of_day: TimeOfDay = field(default_factory=TimeOfDay)
    managed: dict[InmfId, ManagedInmf] = field(default_factory=dict)
    category: CategoryKey | None = None
    """As the cloud twin has assigned it."""
    category_version: int = 0
    category_boot: str = ""
    """Process of the cloud twin that counts the versions; another begins anew."""
    sim_time_s: float = 0.0
    attributes_due_s: float = 0.0
    latest: TelemetryReported | None = None
    """The newest telemetry, for hour and vehicles."""
    vehicle_numbers: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=64))
    """(slot, vehicles) of recent telemetry."""
    courses: Courses = field(init=False)

    def __post_init__(self) -> None:
        self.courses = Courses(self.settings.longest_jump_s)

    @property
    def plvn(self) -> PlvnId:
        """Its PLVN."""
        return self.record.grant.plvn

    def manage(self, requested: tuple[InmfId, ...]) -> tuple[InmfId, ...]:
        """Manage exactly these INMFs; returns those that nobody here knows, which are left out."""
        unknown = tuple(inmf for inmf in requested if not is_known(inmf))
        for inmf in requested:
            if inmf not in self.managed and inmf not in unknown:
                fence, site = self.record.grant.fence, self.record.site
                self.managed[inmf] = ManagedInmf.begin(self.plvn, inmf, site, fence, self.settings)
        for inmf in set(self.managed) - set(requested):
            del self.managed[inmf]
        return unknown

    def on_measured(self, message: TelemetryReported) -> list[tuple[ManagedInmf, str]]:
        """Take in what each INMF has measured; slots that do not fit cost their INMF only.

        Returns:
            INMFs whose slots do not fit, and why.
        """
        unfit: list[tuple[ManagedInmf, str]] = []
        for managed in self.managed.values():
            try:
                managed.on_telemetry(message)
            except ColumnsError as error:
                unfit.append((managed, str(error)))
        return unfit

    def placed(self, message: TelemetryReported, boot: str, seq: int, sim_s: float) -> Judgement:
        """Where telemetry stands among what has come: the latest wins."""
        inmfs = tuple(sorted({part.inmf for part in message.measured} & set(self.managed)))
        slot_s = message.slot_first * (inmf_of(inmfs[0]).spec.slot_s if inmfs else 1.0)
        judgement = self.courses.take(inmfs, Position(boot, seq, slot_s, sim_s))
        if judgement.kind == "epoch":
            self._begin_epoch()
        return judgement

    def _begin_epoch(self) -> None:
        """Slots and simulated time are counted anew."""
        self.sim_time_s = self.attributes_due_s = 0.0
        self.latest = None
        self.vehicle_numbers.clear()
        for managed in self.managed.values():
            managed.mirror.telemetry.clear()

    def on_telemetry(
        self, message: TelemetryReported, sim_time_s: float
    ) -> AttributesReported | None:
        """Take telemetry in; returns attributes when they are due or the category changed."""
        if message.vehicle_number is not None:
            self.vehicle_numbers.append((message.slot_first, message.vehicle_number))
        if self.latest is None or message.slot_first >= self.latest.slot_first:
            self.latest = message
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
        window_s = self.settings.attributes_window_s
        since = (0 if self.latest is None else self.latest.slot_first) - window_s
        parts, samples = {}, 0
        for inmf, managed in self.managed.items():
            own = spared(managed, partial(managed.attributes, window_s))
            if own is not None:
                parts[inmf], samples = own[0], max(samples, own[1])
        return extract(
            parts,
            self.record.site,
            self.time_of_day,
            n_samples=samples,
            sim_time_s=self.sim_time_s,
            hour=None if self.latest is None else self.latest.hour,
            vehicle_numbers=[number for slot, number in self.vehicle_numbers if slot > since],
        )

    def key(self) -> CategoryKey:
        """The category that the twin's own attributes give."""
        return category_of(self.record.site, self.time_of_day)

    def task(self, inmf: InmfId, seed: int) -> TaskTwin | None:
        """Its part in a meta task that emulates; None where the INMF has no emulator."""
        managed = self.managed[inmf]
        emulator, posterior = spared(managed, managed.emulator), managed.trainer.posterior
        if emulator is None:
            return None
        particles = None if posterior is None else posterior.particles
        return TaskTwin(self.plvn, emulator, particles, seed)
