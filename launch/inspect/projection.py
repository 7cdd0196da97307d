"""What somebody sees who only listens: a projection of everything on the bus, and its listener."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from twintier.broker.bus import Bus
from twintier.protocol.catalogue import row_of
from twintier.protocol.codec import Decoded, decode
from twintier.protocol.errors import RemoteProtocolError
from twintier.protocol.ids import EdgeId, InmfId, PlvnId
from twintier.protocol.messages import (
    AttributesReported,
    CloudStatusReported,
    EdgeStatusReported,
    HealthReported,
    IndividualModelReported,
    LibraryIndexed,
    MessageRefused,
    MetaRoundStarted,
    PerformanceReported,
    RegistrationGranted,
    RetrainTriggered,
    TelemetryReported,
)
from twintier.protocol.messages.registration import GrantRenewed
from twintier.protocol.topics import prefix
from twintier.runtime.delivery.decoder import MAX_STREAMS
from twintier.runtime.delivery.positions import is_upload, key_of
from twintier.runtime.delivery.seen import Recent, SeenNumbers
from twintier.runtime.storage.journal import StreamKey


@dataclass(slots=True)
class InmfView:
    """One INMF of one PLVN as the bus shows it."""

    model: IndividualModelReported | None = None
    """The newest that was not deleted or rolled back."""
    newest: IndividualModelReported | None = None
    """The newest in whatever state."""
    performance: PerformanceReported | None = None
    recent: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=4))
    """(reward, slots) of recent performance summaries."""
    by_baseline: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=8))
    """The same, of those in which the baseline acted."""

    @property
    def reward(self) -> float | None:
        """Mean measured reward a slot of the recent summaries, in the INMF's unit."""
        return _mean(self.recent)

    @property
    def reward_by_baseline(self) -> float | None:
        """The same while the baseline acted, however long ago."""
        return _mean(self.by_baseline)

    def measured(self, performance: PerformanceReported) -> None:
        """Take a summary in."""
        self.performance = performance
        summary = performance.reward_sum, performance.slots
        self.recent.append(summary)
        if performance.policy == "baseline":
            self.by_baseline.append(summary)


@dataclass(slots=True)
class PlvnView:
    """One PLVN as the bus shows it."""

    edge: EdgeId | None = None
    attributes: AttributesReported | None = None
    vehicles: int | None = None
    """In the newest slot that telemetry has shown."""
    inmfs: dict[InmfId, InmfView] = field(default_factory=dict)

    def inmf(self, inmf: InmfId) -> InmfView:
        """The view of an INMF, made when it is first seen."""
        return self.inmfs.setdefault(inmf, InmfView())


@dataclass(frozen=True, slots=True)
class Retraining:
    """A retraining that was triggered, and what came of it."""

    plvn: PlvnId
    triggered: RetrainTriggered
    to_model: str | None = None


@dataclass(slots=True)
class View:
    """Everything that the bus has shown so far."""

    cloud: CloudStatusReported | None = None
    edges: dict[EdgeId, EdgeStatusReported] = field(default_factory=dict)
    plvns: dict[PlvnId, PlvnView] = field(default_factory=dict)
    library: dict[tuple[str, str], LibraryIndexed] = field(default_factory=dict)
    rounds: dict[str, MetaRoundStarted] = field(default_factory=dict)
    """Newest round of each job whose model is not in the library yet."""
    health: dict[str, HealthReported] = field(default_factory=dict)
    retrainings: list[Retraining] = field(default_factory=list)
    refusals: deque[MessageRefused] = field(default_factory=lambda: deque(maxlen=20))
    models_seen: int = 0
    messages: int = 0
    unreadable: int = 0

    def take(self, decoded: Decoded) -> None:  # noqa: C901  # dispatch on type
        """Take a message in."""
        self.messages += 1
        address = decoded.address
        match decoded.message:
            case CloudStatusReported() as status:
                self.cloud = status
            case EdgeStatusReported() as status if address.edge:
                self.edges[address.edge] = status
            case RegistrationGranted(grant=grant) | GrantRenewed(grant=grant):
                self.plvn(grant.plvn).edge = grant.edge
            case AttributesReported() as attributes if address.plvn:
                seen = self.plvn(address.plvn)
                seen.attributes, seen.edge = attributes, address.edge or seen.edge
            case TelemetryReported() | PerformanceReported() as measured if address.plvn:
                self._on_measured(address.plvn, address.inmf, measured)
            case IndividualModelReported() as model if address.plvn:
                self._on_model(address.plvn, model)
            case RetrainTriggered() as triggered if address.plvn:
                self.retrainings.append(Retraining(address.plvn, triggered))
            case LibraryIndexed() as indexed:
                self._on_indexed(indexed)
            case MetaRoundStarted() as started:
                self.rounds[started.job] = started
            case HealthReported() as health:
                self.health[decoded.envelope.src] = health
            case MessageRefused() as refused:
                self.refusals.append(refused)
            case _:
                pass

    def plvn(self, plvn: PlvnId) -> PlvnView:
        """The view of a PLVN, made when it is first seen."""
        return self.plvns.setdefault(plvn, PlvnView())

    def models(self) -> dict[tuple[PlvnId, InmfId], InmfView]:
        """Every INMF of every PLVN, in order."""
        return {
            (plvn, inmf): view
            for plvn, seen in sorted(self.plvns.items())
            for inmf, view in sorted(seen.inmfs.items())
        }

    def _on_measured(
        self, plvn: PlvnId, inmf: InmfId | None, measured: TelemetryReported | PerformanceReported
    ) -> None:
        seen = self.plvn(plvn)
        if isinstance(measured, TelemetryReported):
            known = measured.vehicle_number
            seen.vehicles = seen.vehicles if known is None else known
        elif inmf:
            seen.inmf(inmf).measured(measured)

    def _on_indexed(self, indexed: LibraryIndexed) -> None:
        """A round of another INMF for the same category shows again when its next one starts."""
        self.library[indexed.inmf, indexed.category] = indexed
        open_jobs = {j: s for j, s in self.rounds.items() if s.category != indexed.category}
        self.rounds = open_jobs

    def _on_model(self, plvn: PlvnId, model: IndividualModelReported) -> None:
        view = self.plvn(plvn).inmf(model.inmf)
        if view.newest is None or model.version >= view.newest.version:
            view.newest = model
        match model.state:
            case "probation" | "in_force":
                view.model = model
                self.models_seen += model.state == "probation"
                self._complete(plvn, model)
            case "rolled_back":
                if view.model is not None and view.model.version == model.version:
                    view.model = None
            case "deleted":
                pass

    def _complete(self, plvn: PlvnId, model: IndividualModelReported) -> None:
        for index in range(len(self.retrainings) - 1, -1, -1):
            retraining = self.retrainings[index]
            if (retraining.plvn, retraining.triggered.inmf) != (plvn, model.inmf):
                continue
            if model.cause == (retraining.triggered.cause,):
                done = Retraining(plvn, retraining.triggered, model.model)
                self.retrainings[index] = done
            return


def _mean(summaries: Iterable[tuple[float, int]]) -> float | None:
    rewards = list(summaries)
    slots = sum(n for _, n in rewards)
    return sum(r for r, _ in rewards) / slots if slots else None


async def listen(
    bus: Bus, root: str, take: Callable[[Decoded], None], on_unreadable: Callable[[str], None]
) -> None:
    """Give every message on the bus to `take` until cancelled.

    Args:
        bus: not connected yet.
        root: of the topics.
        take: gets what can be read.
        on_unreadable: gets the topic of what cannot.
    """
    await bus.subscribe([f"{prefix(root)}#"])
    await bus.connect()
    seen: Recent[StreamKey, SeenNumbers] = Recent(MAX_STREAMS)
    try:
        async for delivery in bus.deliveries():
            try:
                decoded = decode(delivery.payload, delivery.topic, root)
                if not _came_before(decoded, seen):
                    take(decoded)
            except RemoteProtocolError:
                on_unreadable(delivery.topic)
            await delivery.ack()
            await asyncio.sleep(0)
    finally:
        await bus.close()


def _came_before(decoded: Decoded, seen: Recent[StreamKey, SeenNumbers]) -> bool:
    """Whether an upload is one that its sender has sent again."""
    envelope = decoded.envelope
    if not is_upload(envelope, row_of(type(decoded.message))):
        return False
    return not seen.get(key_of(envelope), SeenNumbers).add(envelope.seq)
