"""From a delivery to whoever it is for: checked, once, whole, in the order of its stream.

What is meant for delivery itself, such as chunks and statuses of our own source, ends here; the
rest goes to the core. Every delivery is acknowledged to the broker after its effect, in any
outcome.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Protocol

from twintier.broker.bus import Delivery
from twintier.broker.clock import Clock
from twintier.protocol.catalogue import Row, row_of
from twintier.protocol.codec import Announced, Decoded
from twintier.protocol.envelope import Envelope
from twintier.protocol.errors import RemoteProtocolError
from twintier.protocol.messages import ChunkSent, ChunksRequested
from twintier.runtime.core import Received
from twintier.runtime.delivery.assemblies import MAX_HELD
from twintier.runtime.delivery.decoder import received_of
from twintier.runtime.delivery.large_messages import Ended
from twintier.runtime.delivery.parts import WayIn, WayOut
from twintier.runtime.delivery.positions import is_upload, key_of
from twintier.runtime.delivery.presence import Heard

SHORTEST_PAUSE_S = 0.05
"""Between two looks at what is missing of large messages."""


class Take(Protocol):
    """Gives the core a message."""

    def __call__(self, taken: Received, delivery: Delivery) -> object:
        """Take it; never raises."""
        ...


class Receiver:
    """The way in, of one process."""

    def __init__(
        self,
        out: WayOut,
        into: WayIn,
        clock: Clock,
        take: Take,
        meet: Callable[[Heard], None],
    ) -> None:
        """Put the parts together.

        Args:
            out: of the process.
            into: of the process.
            clock: wall time.
            take: where messages for the core go.
            meet: told of other processes of our source.
        """
        self._out = out
        self._in = into
        self._clock = clock
        self._take = take
        self._meet = meet
        self._wake = asyncio.Event()

    def on_delivery(self, delivery: Delivery) -> None:
        """Take a delivery and acknowledge it, unless it is or waits for a large message."""
        try:
            found = self._in.decoder.read(delivery)
            assemblies = self._in.large.assemblies
            waiting = assemblies.of(key_of(found.envelope))
            if waiting is not None and assemblies.hold(waiting, delivery):
                return
            if waiting is not None:
                self._leave(found, delivery)
            elif isinstance(found, Announced):
                if self._is_wanted(found.envelope, found.row):
                    self._begin(found, delivery)
                    return
            else:
                self._admit(found, delivery)
        except RemoteProtocolError as error:
            self._in.refusals.refuse(error.code, error.reason, delivery, error.envelope)
        self._acknowledge(delivery)

    def on_chunk(self, delivery: Delivery) -> None:
        """Something came over the connection of large things."""
        try:
            found = self._in.decoder.read(delivery)
        except RemoteProtocolError as error:
            self._in.refusals.refuse(error.code, error.reason, delivery)
            return
        if isinstance(found, Decoded) and isinstance(found.message, ChunkSent):
            self._take_chunk(found, found.message)

    async def run(self) -> None:
        """Ask again for what is missing of large messages, until cancelled."""
        large = self._in.large
        while True:
            now = self._clock.now()
            self._end(large.chase(now))
            due_at = large.next_due()
            pause_s = None if due_at is None else max(due_at - now, SHORTEST_PAUSE_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
            self._wake.clear()

    def _acknowledge(self, delivery: Delivery) -> None:
        """To the broker, once what came of it is durable."""
        self._out.saving.then(partial(self._out.queue.put_ack, delivery))

    # Large messages

    def _begin(self, announced: Announced, delivery: Delivery) -> None:
        """Its claim check is acknowledged when the whole message has its effect."""
        ended = self._in.large.begin(announced, delivery)
        self._wake.set()
        if ended is not None:
            self._on_incomplete(ended)

    def _take_chunk(self, found: Decoded, chunk: ChunkSent) -> None:
        digest = found.address.digest or ""
        self._end(self._in.large.take(chunk, found.envelope.src, digest))

    def _end(self, endings: Iterable[Ended]) -> None:
        """Each message is whole, or never will be; then its stream goes on."""
        for ended in endings:
            if ended.payload is None:
                self._on_incomplete(ended)
            else:
                self._on_whole(ended, ended.payload)
            self._go_on(ended)

    def _on_whole(self, ended: Ended, payload: bytes) -> None:
        delivery = ended.assembly.delivery
        claim_check = ended.assembly.announced.envelope
        try:
            decoded = self._in.decoder.whole(payload, delivery.topic)
        except RemoteProtocolError as error:
            self._in.refusals.refuse(error.code, error.reason, delivery, claim_check)
        else:
            if decoded.envelope.id == claim_check.id:
                self._note(decoded.envelope, delivery)
                self._take(received_of(decoded), delivery)
            else:
                reason = "claim check and whole message differ"
                self._in.refusals.refuse("invalid_body", reason, delivery, claim_check)
        self._acknowledge(delivery)

    def _on_incomplete(self, ended: Ended) -> None:
        """The message will not become whole; whoever keeps it sends it again."""
        delivery, announced = ended.assembly.delivery, ended.assembly.announced
        kept = is_upload(announced.envelope, announced.row)
        told = None if kept else announced.envelope
        self._in.refusals.refuse("incomplete", ended.reason, delivery, told)
        self._acknowledge(delivery)

    def _go_on(self, ended: Ended) -> None:
        """Take what waited behind a message of its stream, until the next large one."""
        held = ended.assembly.held
        while held:
            self.on_delivery(held.popleft())
            waiting = self._in.large.assemblies.of(ended.assembly.stream)
            if waiting is not None:
                waiting.held.extend(held)
                return

    def _leave(self, found: Decoded | Announced, delivery: Delivery) -> None:
        """Too much waits already; whoever keeps it sends it again."""
        row = found.row if isinstance(found, Announced) else row_of(type(found.message))
        kept = is_upload(found.envelope, row)
        if kept:
            self._in.acknowledgements.owe(found.envelope, again=True)
        reason = f"{MAX_HELD} messages wait behind large ones; send it again later"
        told = None if kept else found.envelope
        self._in.refusals.refuse("incomplete", reason, delivery, told)

    # Whole messages

    def _admit(self, decoded: Decoded, delivery: Delivery) -> None:
        """Give a message to whoever it is for: this runtime, or the core."""
        envelope, message = decoded.envelope, decoded.message
        self._note(envelope, delivery)
        heard = self._out.presence.heard(decoded, delivery)
        if heard != "nothing":
            self._meet(heard)
        elif isinstance(message, ChunkSent):
            self._take_chunk(decoded, message)
        elif not self._is_wanted(envelope, row_of(type(message)), retain=delivery.retain):
            pass
        elif isinstance(message, ChunksRequested):
            self._out.large.serve(message, delivery.topic)
        else:
            self._take(received_of(decoded), delivery)

    def _note(self, envelope: Envelope, delivery: Delivery) -> None:
        if delivery.qos and not delivery.retain:
            place = envelope.src, envelope.boot, envelope.stream
            self._out.ledger.received(*place, envelope.seq)

    def _is_wanted(self, envelope: Envelope, row: Row, *, retain: bool = False) -> bool:
        """Whether the core shall see a message: it listens, and has not taken it before."""
        now = self._clock.now()
        if not self._in.subscriptions.includes(row.message):
            return False
        if not is_upload(envelope, row):
            return self._in.decoder.is_due(envelope, now, retain=retain)
        self._in.decoder.heard(envelope, now)  # uploads expire with their sender
        verdict = self._in.positions.verdict(envelope)
        if verdict == "next":
            return True
        self._out.meter.redelivered += verdict == "repeated"
        self._out.meter.counts["uploads_ahead"] += verdict == "ahead"
        self._out.meter.counts["uploads_turned_away"] += verdict == "full"
        self._in.acknowledgements.owe(envelope, again=verdict == "ahead")
        return False
