"""From a core's effect to bytes: addressed, numbered within its stream, encoded. No I/O."""

from collections.abc import Callable, Sequence
from hashlib import blake2b

from twintier.protocol.address import Address
from twintier.protocol.catalogue import Role, Row, row_of
from twintier.protocol.codec import MAX_MESSAGE_BYTES, MAX_PAYLOAD_BYTES, SIGNED_BYTES, encode
from twintier.protocol.envelope import Envelope
from twintier.protocol.ids import EdgeId, PlvnId
from twintier.protocol.topics import prefix, stream_for
from twintier.runtime.delivery.outgoing import Outgoing
from twintier.runtime.effects import Publish


class Encoder:
    """Numbers and encodes what one process publishes."""

    def __init__(
        self,
        role: Role,
        sender: str,
        incarnation: str,
        *,
        root: str,
        clock_id: str | None = None,
        limit_bytes: int = MAX_MESSAGE_BYTES,
        low_watermark: Callable[[str], int] | None = None,
    ) -> None:
        """Prepare for one process.

        Args:
            role: of the process.
            sender: its identity within the role.
            incarnation: its nonce.
            root: of the topics.
            clock_id: of messages that carry simulated time.
            limit_bytes: that a message may have.
            low_watermark: the smallest number of a stream that may still come; without it no
                message says that its sender keeps it.
        """
        self.src = f"{role}:{sender}"
        self._own = {
            "plvn": Address(plvn=PlvnId(sender)),
            "edge": Address(edge=EdgeId(sender)),
            "cloud": Address(),
        }[role]
        self.role: Role = role
        self.root = root
        self._sender = sender
        self._incarnation = incarnation
        self._prefix = prefix(root)
        self._clock_id = clock_id
        self._limit_bytes = limit_bytes
        self._low_watermark = low_watermark
        self._seqs: dict[str, int] = {}
        self._count = 0
        self._nonce = blake2b(f"{self.src}\0{incarnation}".encode(), digest_size=4).digest()

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
            boot=self._incarnation,
            stream=stream,
            seq=seq,
            ts_ns=int(now * 1e9),
            fence=effect.fence,
            sim_ts_ns=None if sim_s is None else int(sim_s * 1e9),
            clock_id=None if sim_s is None else self._clock_id,
            ttl_ms=None if ttl_s is None else int(ttl_s * 1000),
            cid=effect.cid,
            floor=self._floor(row, stream),
        )
        payload = encode(envelope, effect.message, limit_bytes=self._limit(row))
        self._seqs[stream] = seq
        return Outgoing(
            topic,
            payload,
            row.qos,
            row.retain,
            ttl_s,
            stream,
            seq,
            row.guarantee,
            row.bulk,
            effect.cid,
        )

    def take_back(self, outgoings: Sequence[Outgoing]) -> None:
        """The latest messages will not be sent: their numbers are given again."""
        for outgoing in reversed(outgoings):
            self._seqs[outgoing.stream] = outgoing.seq - 1

    def _floor(self, row: Row, stream: str) -> int | None:
        if self._low_watermark is None or row.guarantee != "outbox":
            return None
        return self._low_watermark(stream)

    def _limit(self, row: Row) -> int:
        """Bytes that a message may have; where it may be signed, room is left for that."""
        limit = self._limit_bytes if row.bulk else MAX_PAYLOAD_BYTES
        return limit - SIGNED_BYTES if row.signed else limit

    def _address(self, to: Address) -> Address:
        return Address(
            to.plvn or self._own.plvn,
            to.edge or self._own.edge,
            to.inmf,
            to.category_digest,
            to.role or self.role,
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
