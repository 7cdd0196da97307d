"""From a delivery to whoever it is for: checked, once, whole, in the order of its stream.

What is meant for delivery itself, such as chunks and statuses of our own source, ends here; the
rest goes to the core. Every delivery is acknowledged to the broker after its effect, in any
outcome.
"""

from collections.abc import Callable
from typing import Protocol

from twintier.broker.bus import Delivery
from twintier.broker.clock import Clock
from twintier.protocol.catalogue import Row, row_of
from twintier.protocol.codec import Announced, Decoded
from twintier.protocol.envelope import Envelope
from twintier.protocol.errors import RemoteProtocolError
from twintier.protocol.messages import ChunkSent, ChunksRequested
from twintier.protocol.messages.base import Message
from twintier.runtime.core import Received
from twintier.runtime.delivery.assemblies import MAX_HELD
from twintier.runtime.delivery.chunks import Assembly
from twintier.runtime.delivery.courier import Courier
from twintier.runtime.delivery.inbound import Inbound, received_of
from twintier.runtime.delivery.ledger import Ledger
from twintier.runtime.delivery.meter import Meter
from twintier.runtime.delivery.outbound import SendQueue
from twintier.runtime.delivery.positions import is_upload, key_of
from twintier.runtime.delivery.presence import Heard, Presence
from twintier.runtime.delivery.refusals import Refusals


class Take(Protocol):
    """Gives the core a message."""

    def __call__(self, taken: Received, delivery: Delivery) -> object:
        """Take it; never raises."""
        ...


class Reception:
    """The way in, of one process."""

    def __init__(
        self,
        inbound: Inbound,
        courier: Courier,
        presence: Presence,
        refusals: Refusals,
        *,
        queue: SendQueue,
        ledger: Ledger,
        meter: Meter,
        clock: Clock,
    ) -> None:
        self._inbound = inbound
        self._courier = courier
        self._presence = presence
        self._refusals = refusals
        self._queue = queue
        self._ledger = ledger
        self._meter = meter
        self._clock = clock
        self._wanted: set[type[Message]] = set()
        self._take: Take = _nobody
        self._meet: Callable[[Heard], None] = _nothing

    def open(self, take: Take, meet: Callable[[Heard], None]) -> None:
        """Say where messages go, and who is told of other processes of our source."""
        self._take, self._meet = take, meet

    def want(self, messages: tuple[type[Message], ...]) -> None:
        """The core listens to these."""
        self._wanted |= set(messages)

    def on_delivery(self, delivery: Delivery) -> None:
        """Take a delivery and acknowledge it, unless it is or waits for a large message."""
        try:
            found = self._inbound.read(delivery)
            assemblies = self._courier.assemblies
            waiting = assemblies.of(key_of(found.envelope))
            if waiting is not None and assemblies.hold(waiting, delivery):
                return
            if waiting is not None:
                self._leave(found, delivery)
            elif isinstance(found, Announced):
                if self._is_wanted(found.envelope, found.row):
                    self._courier.assemble(found, delivery)
                    return
            else:
                self._admit(found, delivery)
        except RemoteProtocolError as error:
            self._refusals.refuse(error.code, error.reason, delivery, error.envelope)
        self._queue.put_ack(delivery)

    def _leave(self, found: Decoded | Announced, delivery: Delivery) -> None:
        """Too much waits already; whoever keeps it sends it again."""
        row = found.row if isinstance(found, Announced) else row_of(type(found.message))
        kept = is_upload(found.envelope, row)
        if kept:
            self._courier.owe(found.envelope, again=True)
        reason = f"{MAX_HELD} messages wait behind large ones; send it again later"
        self._refusals.refuse("incomplete", reason, delivery, None if kept else found.envelope)

    def on_whole(self, assembly: Assembly, payload: bytes) -> None:
        """A large message has come in all its chunks."""
        delivery, head = assembly.delivery, assembly.announced.envelope
        try:
            decoded = self._inbound.whole(payload, delivery.topic)
        except RemoteProtocolError as error:
            self._refusals.refuse(error.code, error.reason, delivery, head)
        else:
            if decoded.envelope.id == head.id:
                self._note(decoded.envelope, delivery)
                self._take(received_of(decoded), delivery)
            else:
                self._refusals.refuse("invalid_body", "head and whole differ", delivery, head)
        self._queue.put_ack(delivery)

    def on_incomplete(self, assembly: Assembly, reason: str) -> None:
        """A large message will not become whole; whoever keeps it sends it again."""
        delivery, announced = assembly.delivery, assembly.announced
        kept = is_upload(announced.envelope, announced.row)
        self._refusals.refuse("incomplete", reason, delivery, None if kept else announced.envelope)
        self._queue.put_ack(delivery)

    def on_chunk(self, delivery: Delivery) -> None:
        """Something came over the connection of large things."""
        try:
            found = self._inbound.read(delivery)
        except RemoteProtocolError as error:
            self._refusals.refuse(error.code, error.reason, delivery)
            return
        if isinstance(found, Decoded) and isinstance(found.message, ChunkSent):
            self._courier.on_chunk(found.message, found.envelope.src, found.address.digest or "")

    def _admit(self, decoded: Decoded, delivery: Delivery) -> None:
        """Give a message to whoever it is for: this runtime, or the core."""
        envelope, message = decoded.envelope, decoded.message
        self._note(envelope, delivery)
        heard = self._presence.heard(decoded, delivery)
        if heard != "nothing":
            self._meet(heard)
        elif isinstance(message, ChunkSent):
            self._courier.on_chunk(message, envelope.src, decoded.address.digest or "")
        elif not self._is_wanted(envelope, row_of(type(message)), retain=delivery.retain):
            pass
        elif isinstance(message, ChunksRequested):
            self._courier.on_requested(message, delivery.topic)
        else:
            self._take(received_of(decoded), delivery)

    def _note(self, envelope: Envelope, delivery: Delivery) -> None:
        if delivery.qos and not delivery.retain:
            self._ledger.received(envelope.src, envelope.boot, envelope.stream, envelope.seq)

    def _is_wanted(self, envelope: Envelope, row: Row, *, retain: bool = False) -> bool:
        """Whether the core shall see a message: it listens, and has not taken it before."""
        if row.message not in self._wanted:
            return False
        now = self._clock.now()
        if not is_upload(envelope, row):
            return self._inbound.is_due(envelope, now, retain=retain)
        self._inbound.heard(envelope, now)  # uploads expire with their sender
        verdict = self._courier.positions.verdict(envelope)
        if verdict == "next":
            return True
        self._meter.redelivered += verdict == "repeated"
        self._meter.counts["uploads_ahead"] += verdict == "ahead"
        self._meter.counts["uploads_turned_away"] += verdict == "full"
        self._courier.owe(envelope, again=verdict == "ahead")
        return False


def _nobody(taken: Received, delivery: Delivery) -> object:
    raise RuntimeError(f"nobody takes {type(taken.message).__name__} from {delivery.topic}")


def _nothing(heard: Heard) -> None:
    raise RuntimeError(f"nobody is told of a {heard}")
