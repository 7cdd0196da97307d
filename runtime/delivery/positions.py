"""A receiver's side of guarantee `outbox`: each number of a stream once and in order. No I/O.

Of a stream exactly the next number is taken, or the one that equals a floor above it: then nothing
below comes any more. What comes ahead of that is not taken, for its sender sends it again.

Senders name their boots and streams, so a source has a bounded number of them. For a new one its
oldest boot goes, in it what was quiet for longest; boots are time-ordered, and a source that is
full begins none in its oldest boot or before, so what was forgotten is never taken as new. The
exception is a source that is full within one boot. No source loses anything to another.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Literal, NamedTuple

from twintier.protocol.catalogue import Row
from twintier.protocol.envelope import Envelope
from twintier.protocol.messages import StreamPosition
from twintier.protocol.messages.delivery import MAX_POSITIONS
from twintier.protocol.values import Fence
from twintier.runtime.storage.journal import Accepted, StreamKey

Verdict = Literal["next", "repeated", "ahead", "full"]
"""`full`: no place is left for a stream that is new here; it is not taken."""

MAX_STREAMS_PER_SOURCE = 1024
"""Far above two for each PLVN that an edge server has hosted of late."""
MAX_STREAMS = 65_536


class Owed(NamedTuple):
    """An acknowledgement that is due to a source, under the fence that it named last."""

    src: str
    fence: Fence | None
    positions: tuple[StreamPosition, ...]


def is_upload(envelope: Envelope, row: Row) -> bool:
    """Whether the sender keeps a message until we acknowledge it."""
    return row.guarantee == "outbox" and envelope.floor is not None


def key_of(envelope: Envelope) -> StreamKey:
    """The stream of a message."""
    return envelope.src, envelope.boot, envelope.stream


class Positions:
    """How far this process has come in every stream that it takes from others' outboxes."""

    def __init__(
        self,
        accepted: Mapping[StreamKey, int],
        *,
        per_source: int = MAX_STREAMS_PER_SOURCE,
        limit: int = MAX_STREAMS,
    ) -> None:
        """Go on from what is known.

        Args:
            accepted: the last number of each stream, the stream that was quiet for longest first.
            per_source: streams of one source that are remembered.
            limit: streams that are remembered in all.
        """
        self._accepted: dict[str, dict[str, dict[str, int]]] = {}
        """By source, boot and stream, the stream that was quiet for longest first."""
        self._counts: Counter[str] = Counter()
        self._total = 0
        self._per_source = per_source
        self._limit = limit
        self._owed: dict[str, dict[StreamKey, bool]] = {}
        self._fences: dict[str, Fence | None] = {}
        self._deferred: set[StreamKey] = set()
        """Streams whose next number our core takes later."""
        for (src, boot, stream), seq in accepted.items():
            self._put(src, boot, stream, seq)

    def __len__(self) -> int:
        return self._total

    def verdict(self, envelope: Envelope) -> Verdict:
        """Whether a message is the next of its stream."""
        key = key_of(envelope)
        if not self._is_known(key) and self._is_full(key) and self._leaving(key) is None:
            return "full"
        floor = envelope.floor or envelope.seq
        last = self._last(key)
        if envelope.seq <= last:
            return "repeated"
        # Numbers below the floor are over at the sender (expired, refused): a gap up to it is none.
        return "next" if envelope.seq == max(last + 1, floor) else "ahead"

    def record(self, envelope: Envelope, now: float) -> Accepted:
        """What is to be kept together with the effect of a message."""
        key = key_of(envelope)
        crowded = not self._is_known(key) and self._is_full(key)
        return Accepted(*key, envelope.seq, now, self._leaving(key) if crowded else None)

    def advance(self, accepted: Accepted) -> None:
        """The record is durable."""
        if accepted.instead_of is not None:
            self._forget(accepted.instead_of)
        self._put(accepted.src, accepted.boot, accepted.stream, accepted.seq)
        self._deferred.discard((accepted.src, accepted.boot, accepted.stream))

    def defer(self, envelope: Envelope) -> None:
        """The core takes a message later: until then nothing behind it is asked for."""
        if len(self._deferred) < self._limit:
            self._deferred.add(key_of(envelope))

    def owe(self, envelope: Envelope, *, again: bool = False) -> None:
        """The sender is to be told how far its stream has come."""
        key = key_of(envelope)
        owed = self._owed.setdefault(envelope.src, {})
        owed[key] = again and key not in self._deferred
        self._fences[envelope.src] = envelope.fence

    def owed(self) -> list[Owed]:
        """Acknowledgements that are due, packed into messages; they are due no more."""
        # Cumulative: a later position says all that an earlier one said, so only the last is kept.
        due, self._owed = self._owed, {}
        fences, self._fences = self._fences, {}
        return [
            Owed(src, fences[src], packed)
            for src, streams in due.items()
            for packed in _packed([self._position(key, again) for key, again in streams.items()])
        ]

    def _position(self, key: StreamKey, again: bool) -> StreamPosition:  # noqa: FBT001  # a pair
        _, boot, stream = key
        return StreamPosition(boot=boot, stream=stream, seq=self._last(key), again=again)

    def _last(self, key: StreamKey) -> int:
        src, boot, stream = key
        return self._accepted.get(src, {}).get(boot, {}).get(stream, 0)

    def _is_known(self, key: StreamKey) -> bool:
        src, boot, stream = key
        return stream in self._accepted.get(src, {}).get(boot, {})

    def _is_full(self, key: StreamKey) -> bool:
        return self._counts[key[0]] >= self._per_source or self._total >= self._limit

    def _leaving(self, key: StreamKey) -> StreamKey | None:
        """The stream that goes for a new one of its source; None if none may."""
        src, boot, _ = key
        boots = self._accepted.get(src)
        if not boots:
            return None
        # Boots are ordered by time. The oldest goes first, for its process has most likely ended;
        # nothing as old as it may begin anew, or a dead process's streams would push out live ones.
        oldest = min(boots)
        crowded = boots.keys() == {boot} and self._counts[src] >= self._per_source
        if boot <= oldest and not crowded:
            return None
        return src, oldest, next(iter(boots[oldest]))

    def _put(self, src: str, boot: str, stream: str, seq: int) -> None:
        streams = self._accepted.setdefault(src, {}).setdefault(boot, {})
        # Taken out and put back at the end, so that the order of a dict is that of last use.
        if streams.pop(stream, None) is None:
            self._counts[src] += 1
            self._total += 1
        streams[stream] = seq

    def _forget(self, key: StreamKey) -> None:
        src, boot, stream = key
        boots = self._accepted[src]
        del boots[boot][stream]
        self._counts[src] -= 1
        self._total -= 1
        if not boots[boot]:
            del boots[boot]


def _packed(positions: list[StreamPosition]) -> list[tuple[StreamPosition, ...]]:
    starts = range(0, len(positions), MAX_POSITIONS)
    return [tuple(positions[start : start + MAX_POSITIONS]) for start in starts]
