"""Brings through what a plain publish does not: outboxes, acknowledgements, large messages.

It stands between a runtime and its send queues. Messages of care `outbox` are sent again until the
receiver has acknowledged them; those above the chunk size are announced and served in chunks, over
a connection of their own where there is one, so that control messages never wait behind them.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from twintier.broker.bus import Delivery
from twintier.broker.clock import Clock
from twintier.protocol.address import Address
from twintier.protocol.catalogue import Role
from twintier.protocol.codec import CHUNK_BYTES, Announced, announce, with_floor
from twintier.protocol.envelope import Envelope
from twintier.protocol.messages import (
    ChunkSent,
    ChunksRequested,
    MessageReturned,
    UploadsAcknowledged,
)
from twintier.protocol.topics import subscription
from twintier.runtime.delivery.assemblies import Assemblies
from twintier.runtime.delivery.branches import own_branch, reply_address, source_address
from twintier.runtime.delivery.bulk import Bulk
from twintier.runtime.delivery.chunks import LONGEST_S, Assembly, KeptMessages
from twintier.runtime.delivery.outbound import Listening, Outgoing, SendQueue
from twintier.runtime.delivery.outbox import Outbox, OutboxSettings
from twintier.runtime.delivery.positions import Positions
from twintier.runtime.effects import Publish
from twintier.runtime.storage.journal import JournalRecord, Upload
from twintier.runtime.storage.store import Store

log = structlog.get_logger()

MAX_SILENCES = 30
"""After so many without a new chunk a large message is given up."""


@dataclass(frozen=True, slots=True)
class CourierSettings:
    """Sizes and times of delivery."""

    chunk_bytes: int = CHUNK_BYTES
    """Above it a message travels in chunks."""
    outbox: OutboxSettings = field(default_factory=OutboxSettings)
    ack_s: float = 0.1
    """Acknowledgements of so long are sent together."""
    silence_s: float = 2.0
    """Without a chunk for so long, what is missing is asked for again."""


class Encode(Protocol):
    """Makes an outgoing message of an effect."""

    def __call__(self, effect: Publish, now: float, *, stream: str | None = None) -> Outgoing:
        """See `runtime.delivery.outbound.Encoder.encode`."""
        ...


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a courier asks of its runtime."""

    encode: Encode
    publish: Callable[[Publish], None]
    arrived: Callable[[Assembly, bytes], None]
    """A large message is whole; these are its bytes."""
    chunk: Callable[[Delivery], None]
    """Something came over the connection of large things."""
    failed: Callable[[Assembly, str], None]
    """A large message will not become whole, and why."""
    unsaved: Callable[[], None]
    """The store has failed."""
    go_on: Callable[[Delivery], None]
    """A delivery that waited behind a large message of its stream."""


class Courier:
    """Delivery of one process; see the module's text."""

    def __init__(
        self,
        src: str,
        root: str,
        store: Store,
        clock: Clock,
        *,
        queue: SendQueue,
        bulk: Bulk | None,
        settings: CourierSettings,
    ) -> None:
        """Prepare, with what the store remembers.

        Args:
            src: whose deliveries these are, `plvn:p1`.
            root: of the topics.
            store: where uploads and positions are kept.
            clock: wall time.
            queue: of the control connection.
            bulk: the connection for chunks; None shares the control connection.
            settings: sizes and times.
        """
        self.src = src
        self._role: Role = "plvn" if src.startswith("plvn:") else "edge"
        if src.startswith("cloud:"):
            self._role = "cloud"
        self._root = root
        self._store = store
        self._clock = clock
        self._queue = queue
        self._bulk = bulk
        self._settings = settings
        self.outbox = Outbox(src, store.uploads(src), settings.outbox)
        self.positions = Positions(store.accepted(clock.now()))
        self._kept = KeptMessages()
        self.assemblies = Assemblies()
        self._wake = asyncio.Event()
        self._owing = asyncio.Event()
        self._hooks: Hooks | None = None

    # Sending

    def keep(self, outgoings: Iterable[Outgoing], boot: str, now: float) -> list[JournalRecord]:
        """What of messages of care `outbox` is to be saved; then call `kept`, then send them."""
        uploads: list[Upload] = []
        for outgoing in outgoings:
            until = now + (LONGEST_S if outgoing.ttl_s is None else outgoing.ttl_s)
            place = (self.src, boot, outgoing.stream, outgoing.seq)
            uploads.append(Upload(*place, outgoing.topic, outgoing.payload, until))
        return self.outbox.planned(uploads)

    def kept(self, records: Sequence[JournalRecord], now: float) -> None:
        """The records of `keep` are saved: from here on their messages are sent until settled."""
        if records:
            self.outbox.add(records, now)
            self._wake.set()

    def post(self, outgoing: Outgoing) -> None:
        """Queue a message, or its head if it is large."""
        if outgoing.bulk and len(outgoing.payload) > self._settings.chunk_bytes:
            head, blob = announce(outgoing.payload, self._settings.chunk_bytes)
            kept_s = LONGEST_S if outgoing.ttl_s is None else min(outgoing.ttl_s, LONGEST_S)
            self._kept.keep(outgoing.payload, blob, self._clock.now() + kept_s)
            outgoing = replace(outgoing, payload=head)
        self._queue.put(outgoing)

    def settle(self, message: UploadsAcknowledged | MessageReturned) -> None:
        """Forget what its receiver has taken, or never will."""
        now, outbox = self._clock.now(), self.outbox
        if isinstance(message, UploadsAcknowledged):
            self._save([r for p in message.positions for r in outbox.settle(p, now)])
        else:
            self._save(outbox.refused(message.boot, message.stream, message.seq))
        self._wake.set()

    def on_requested(self, request: ChunksRequested, topic: str) -> None:
        """Serve chunks on the branch of the message that they are of."""
        to = reply_address(topic, self._root, self._role)
        if to is None:
            return
        assert self._hooks is not None
        now = self._clock.now()
        for chunk in self._kept.chunks(request, now):
            address = replace(to, digest=request.digest)
            effect = Publish(chunk, address)
            outgoing = self._hooks.encode(effect, now, stream=f"{to.branch}/blob")
            self._bulk_queue().put(outgoing)

    def on_up(self) -> None:
        """The bus is back."""
        self._wake.set()

    # Receiving

    def owe(self, envelope: Envelope, *, again: bool = False) -> None:
        """The sender of an upload is to be told soon how far its stream has come."""
        self.positions.owe(envelope, again=again)
        self._owing.set()

    def assemble(self, announced: Announced, delivery: Delivery) -> None:
        """Begin to ask for a large message; its head is acknowledged when it has its effect."""
        now, ttl_ms = self._clock.now(), announced.envelope.ttl_ms
        longest_s = LONGEST_S if ttl_ms is None else min(ttl_ms / 1000, LONGEST_S)
        assembly = Assembly(announced, delivery, now + longest_s)
        excess = self.assemblies.excess(announced)
        if excess is not None:
            assert self._hooks is not None
            self._hooks.failed(assembly, excess)
            return
        assembly.retry_at = now + self._settings.silence_s
        self.assemblies.add(assembly)
        self._listen(assembly, on=True)
        self._wake.set()

    def listens(self, listening: Listening) -> None:
        """A change of filters is in force: chunks may be asked for now."""
        for assembly in self.assemblies:
            if listening.on and self._filter(assembly) in listening.filters:
                self._ask(assembly, assembly.requests())

    def on_chunk(self, chunk: ChunkSent, src: str, digest: str) -> None:
        """Take a chunk in; the last one makes the message whole."""
        for assembly in self.assemblies.fed_by(src, digest):
            if chunk.state == "gone":
                self._end(assembly, "its sender no longer has it; wait until it is sent anew")
            elif assembly.add(chunk):
                assembly.retry_at = self._clock.now() + self._settings.silence_s
                if assembly.complete:
                    self._end(assembly, "")
                else:
                    self._ask(assembly, assembly.requests())

    # Work in the background

    async def run(self, hooks: Hooks) -> None:
        """Send again, ask again and acknowledge, until cancelled."""
        self._hooks = hooks
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tend())
            group.create_task(self._acknowledge())
            if self._bulk is not None:
                group.create_task(self._bulk.run(self.listens, hooks.chunk))

    async def _tend(self) -> None:
        while True:
            now = self._clock.now()
            self._save(self.outbox.expire(now))
            if len(self._queue) == 0:  # else it has not even gone out yet
                self._send_again(now)
            self._chase(now)
            resend_at = self.outbox.next_due()
            due = [assembly.retry_at for assembly in self.assemblies]
            due += [] if resend_at is None else [resend_at]
            pause_s = max(min(due) - now, 0.05) if due else None
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
            self._wake.clear()

    async def _acknowledge(self) -> None:
        assert self._hooks is not None
        while True:
            await self._owing.wait()
            await asyncio.sleep(self._settings.ack_s)
            self._owing.clear()
            for owed in self.positions.owed():
                to = source_address(owed.src, "down")
                message = UploadsAcknowledged(positions=owed.positions)
                self._hooks.publish(Publish(message, to, fence=owed.fence))

    def _send_again(self, now: float) -> None:
        for upload in self.outbox.due(now):
            floor = self.outbox.floor(upload.boot, upload.stream)
            self.post(
                Outgoing(
                    upload.topic,
                    with_floor(upload.payload, floor),
                    1,
                    retain=False,
                    ttl_s=upload.expires_at - now,
                    stream=upload.stream,
                    seq=upload.seq,
                    care="outbox",
                    bulk=True,
                )
            )

    def _chase(self, now: float) -> None:
        for assembly in self.assemblies:
            have, wanted = len(assembly.chunks), assembly.blob.chunks
            if now >= assembly.until or assembly.silences >= MAX_SILENCES:
                self._end(assembly, f"{have} of {wanted} chunks came in time; send it again")
            elif now >= assembly.retry_at:
                assembly.retry_at = now + self._settings.silence_s
                assembly.silences += 1
                self._ask(assembly, assembly.missing() or assembly.requests())

    def _ask(self, assembly: Assembly, requests: Sequence[ChunksRequested]) -> None:
        assert self._hooks is not None
        to = reply_address(assembly.delivery.topic, self._root, self._role)
        for request in requests:
            self._hooks.publish(Publish(request, to or Address()))

    def _end(self, assembly: Assembly, problem: str) -> None:
        """The message is whole, or never will be; then its stream goes on."""
        assert self._hooks is not None
        self.assemblies.remove(assembly)
        self._listen(assembly, on=False)
        payload = None if problem else assembly.payload()
        if payload is None:
            reason = problem or "its bytes do not have the digest that was announced"
            self._hooks.failed(assembly, reason)
        else:
            self._hooks.arrived(assembly, payload)
        while assembly.held:
            self._hooks.go_on(assembly.held.popleft())
            waiting = self.assemblies.of(assembly.stream)
            if waiting is not None:  # the next of the stream is large too
                waiting.held.extend(assembly.held)
                return

    def _listen(self, assembly: Assembly, *, on: bool) -> None:
        """Begin or end to hear chunks, unless another large message needs the same ones."""
        wanted = self._filter(assembly)
        if on or all(self._filter(other) != wanted for other in self.assemblies):
            self._bulk_queue().put_listening(Listening((wanted,), on))

    def _filter(self, assembly: Assembly) -> str:
        own = own_branch(assembly.delivery.topic, self._root)
        assert own is not None  # the catalogue has no large message beside a branch
        return subscription(ChunkSent, replace(own, digest=assembly.blob.digest), self._root)

    def _bulk_queue(self) -> SendQueue:
        if self._bulk is None:
            return self._queue
        self._bulk.use()
        return self._bulk.queue

    def _save(self, records: Sequence[JournalRecord]) -> None:
        """Write down what is over; if that fails, it is only found again after a restart."""
        if not records:
            return
        try:
            self._store.save(records)
        except Exception:  # whatever the store raises: what it forgets is only sent once more
            assert self._hooks is not None
            self._hooks.unsaved()
            log.exception("not saved", src=self.src, records=len(records))
