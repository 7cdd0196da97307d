"""From a core's effect to the bus: encoded, numbered, queued, sent by one task.

The queue is bounded and never blocks a core: when it is full the oldest QoS 0 message goes, or the
oldest at all, and is counted. Acknowledgements pass through the same queue, so a message is
acknowledged only after what it caused has been handed to the bus.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from twintier.broker.bus import Bus, Delivery, Qos
from twintier.broker.errors import LocalBusError, UnavailableError
from twintier.protocol.address import Address
from twintier.protocol.catalogue import Care, Role, Row, row_of
from twintier.protocol.codec import MAX_MESSAGE_BYTES, MAX_PAYLOAD_BYTES, encode
from twintier.protocol.envelope import Envelope
from twintier.protocol.ids import EdgeId, PlvnId
from twintier.protocol.messages import GrantRenewed, RegistrationGranted, TwinPlaced
from twintier.protocol.messages.base import Message
from twintier.protocol.signing import sign_grant, sign_message
from twintier.protocol.topics import prefix, stream_for
from twintier.runtime.effects import Publish


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An encoded message on its way."""

    topic: str
    payload: bytes
    qos: Qos
    retain: bool
    ttl_s: float | None
    stream: str
    seq: int
    care: Care = "plain"
    bulk: bool = False
    """Whether it may travel in chunks."""
    cid: bytes | None = None
    """Ties it to what it answers."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Filters to listen to, or no longer, from here on in the order of messages."""

    filters: tuple[str, ...]
    on: bool


class Encoder:
    """Numbers and encodes what one process publishes."""

    def __init__(
        self,
        role: Role,
        sender: str,
        boot: str,
        *,
        root: str,
        clock_id: str | None = None,
        limit_bytes: int = MAX_MESSAGE_BYTES,
        sign_key: Ed25519PrivateKey | None = None,
        floor: Callable[[str], int] | None = None,
    ) -> None:
        """Prepare for one process.

        Args:
            role: of the process.
            sender: its identity within the role.
            boot: its nonce.
            root: of the topics.
            clock_id: of messages that carry simulated time.
            limit_bytes: that a message may have.
            sign_key: signs the messages whose row says so; without it none is signed.
            floor: the smallest number of a stream that may still come; without it no message says
                that its sender keeps it.
        """
        self.src = f"{role}:{sender}"
        self._own = {
            "plvn": Address(plvn=PlvnId(sender)),
            "edge": Address(edge=EdgeId(sender)),
            "cloud": Address(),
        }[role]
        self._role = role
        self._sender = sender
        self._boot = boot
        self._prefix = prefix(root)
        self._clock_id = clock_id
        self._limit_bytes = limit_bytes
        self._sign_key = sign_key
        self._floor = floor
        self._seqs: dict[str, int] = {}
        self._count = 0
        self._nonce = blake2b(f"{self.src}\0{boot}".encode(), digest_size=4).digest()

    def encode(self, effect: Publish, now: float, *, stream: str | None = None) -> Outgoing:
        """The bytes of a message with its place in its stream; own identity is filled in.

        Raises:
            LocalProtocolError: if the address lacks a level, or the message is too large.
        """
        row = row_of(type(effect.message))
        path = stream_for(row.message, self._address(effect.to))
        topic = self._prefix + path
        stream = stream or path
        seq = self._seqs.get(stream, 0) + 1
        ttl_s = row.ttl_s if effect.ttl_s is None else effect.ttl_s
        sim_s = effect.sim_time_s
        envelope = Envelope(
            type=row.name,
            id=self._id(now),
            src=self.src,
            boot=self._boot,
            stream=stream,
            seq=seq,
            ts_ns=int(now * 1e9),
            fence=effect.fence,
            sim_ts_ns=None if sim_s is None else int(sim_s * 1e9),
            clock_id=None if sim_s is None else self._clock_id,
            ttl_ms=None if ttl_s is None else int(ttl_s * 1000),
            cid=effect.cid,
            floor=None if self._floor is None or row.care != "outbox" else self._floor(stream),
        )
        limit, sign = self._limit_bytes if row.bulk else MAX_PAYLOAD_BYTES, self._signer(row, topic)
        payload = encode(envelope, self._granting(effect.message), limit_bytes=limit, sign=sign)
        self._seqs[stream] = seq
        return Outgoing(
            topic,
            payload,
            row.qos,
            row.retain,
            ttl_s,
            stream,
            seq,
            row.care,
            row.bulk,
            effect.cid,
        )

    def take_back(self, outgoings: Sequence[Outgoing]) -> None:
        """The latest messages will not be sent: their numbers are given again."""
        for outgoing in reversed(outgoings):
            self._seqs[outgoing.stream] = outgoing.seq - 1

    def _granting(self, message: Message) -> Message:
        """A grant of the cloud twin, signed; anything else as it is."""
        key = self._sign_key
        if key is None or not isinstance(message, RegistrationGranted | GrantRenewed | TwinPlaced):
            return message
        return message.model_copy(update={"grant": sign_grant(key, message.grant)})

    def _signer(self, row: Row, topic: str) -> Callable[[bytes], bytes] | None:
        key = self._sign_key
        if key is None or not row.signed or self._role != "edge":
            return None
        return lambda unsigned: sign_message(key, topic, unsigned)

    def _address(self, to: Address) -> Address:
        return Address(
            to.plvn or self._own.plvn,
            to.edge or self._own.edge,
            to.inmf,
            to.category_digest,
            to.role or self._role,
            to.id or self._sender,
            to.digest,
            to.branch,
        )

    def _id(self, now: float) -> bytes:
        """UUID version 7: milliseconds, then a counter and a digest of the process."""
        self._count += 1
        low = (0x7000 | (self._count & 0xFFF)).to_bytes(2, "big")
        high = (0x80000000 | (self._count & 0x3FFFFFFF)).to_bytes(4, "big")
        return int(now * 1000).to_bytes(6, "big") + low + high + self._nonce


class SendQueue:
    """Bounded queue of messages and acknowledgements, sent in order."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queue: deque[Outgoing | Listening | Delivery] = deque()
        self._messages = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._room = asyncio.Event()
        self.published = 0
        self.dropped = 0
        """Messages that a full queue or an absent bus has cost."""
        self.unsendable = 0
        """Messages that the bus cannot carry at all; these are not among the dropped."""

    def __len__(self) -> int:
        return self._messages

    @property
    def lost(self) -> int:
        """Messages that were queued and never handed over, each counted once."""
        return self.dropped + self.unsendable

    @property
    def full(self) -> bool:
        """Whether the next message costs an older one."""
        return self._messages >= self._limit

    def put(self, outgoing: Outgoing) -> None:
        """Queue a message; when full, an older one goes."""
        if self.full:
            self._drop_one()
        self._messages += 1
        self._append(outgoing)

    def put_ack(self, delivery: Delivery) -> None:
        """Acknowledge a delivery once everything queued so far has been handed over."""
        if delivery.qos:
            self._append(delivery)

    def put_listening(self, listening: Listening) -> None:
        """Change what is listened to before anything queued later is sent."""
        self._append(listening)

    async def wait_idle(self) -> None:
        """Wait until everything has been handed over."""
        await self._idle.wait()

    async def wait_room(self) -> None:
        """Wait until the queue is not full."""
        while self.full:
            self._room.clear()
            await self._room.wait()

    async def send(self, bus: Bus, changed: Callable[[Listening], None]) -> None:
        """Send for ever; `changed` is told of each change of filters that is in force."""
        while True:
            while self._queue:
                item = self._queue.popleft()
                if isinstance(item, Outgoing):
                    self._messages -= 1
                    self._room.set()
                    await self._send(bus, item)
                elif isinstance(item, Listening):
                    await (bus.subscribe if item.on else bus.unsubscribe)(item.filters)
                    changed(item)
                else:
                    await item.ack()
            self._idle.set()
            self._wake.clear()
            await self._wake.wait()

    def _append(self, item: Outgoing | Listening | Delivery) -> None:
        self._queue.append(item)
        self._idle.clear()
        self._wake.set()

    async def _send(self, bus: Bus, item: Outgoing) -> None:
        loop = asyncio.get_running_loop()
        void_at = float("inf") if item.ttl_s is None else loop.time() + item.ttl_s
        while item.qos == 1 or bus.up:
            try:
                await bus.publish(
                    item.topic,
                    item.payload,
                    qos=item.qos,
                    retain=item.retain,
                    ttl_s=item.ttl_s,
                    cid=item.cid,
                )
            except UnavailableError:
                if item.qos == 0 or loop.time() > void_at:
                    break
            except LocalBusError:
                self.unsendable += 1
                return
            else:
                self.published += 1
                return
        self.dropped += 1

    def _drop_one(self) -> None:
        messages = [(i, m) for i, m in enumerate(self._queue) if isinstance(m, Outgoing)]
        unsure = (i for i, message in messages if message.qos == 0)
        del self._queue[next(unsure, messages[0][0])]
        self._messages -= 1
        self.dropped += 1
