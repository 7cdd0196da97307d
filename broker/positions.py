"""A receiver's side of care `outbox`: each number of a stream once and in order. Pure.

Of a stream exactly the next number is taken, or the one that equals a floor above it: then nothing
below comes any more. What comes ahead of that is not taken, for its sender sends it again.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from broker.journal import Accepted, StreamKey
from protocol.catalogue import Row
from protocol.envelope import Envelope
from protocol.ids import Fence
from protocol.messages import StreamPosition
from protocol.messages.delivery import MAX_POSITIONS

Verdict = Literal["next", "repeated", "ahead"]


class Owed(NamedTuple):
    """An acknowledgement that is due to a source, under the fence that it named last."""

    src: str
    fence: Fence | None
    positions: tuple[StreamPosition, ...]


def is_upload(envelope: Envelope, row: Row) -> bool:
    """Whether the sender keeps a message until we acknowledge it."""
    return row.care == "outbox" and envelope.floor is not None


def key_of(envelope: Envelope) -> StreamKey:
    """The stream of a message."""
    return envelope.src, envelope.boot, envelope.stream


class Positions:
    """How far this process has come in every stream that it takes from others' outboxes."""

    def __init__(self, accepted: Mapping[StreamKey, int]) -> None:
        self._accepted = dict(accepted)
        self._owed: dict[str, dict[StreamKey, bool]] = {}
        self._fences: dict[str, Fence | None] = {}

    def verdict(self, envelope: Envelope) -> Verdict:
        """Whether a message is the next of its stream."""
        floor = envelope.floor or envelope.seq
        last = self._accepted.get(key_of(envelope), 0)
        if envelope.seq <= last:
            return "repeated"
        return "next" if envelope.seq == max(last + 1, floor) else "ahead"

    def record(self, envelope: Envelope, now: float) -> Accepted:
        """What is to be kept together with the effect of a message."""
        return Accepted(*key_of(envelope), envelope.seq, now)

    def advance(self, accepted: Accepted) -> None:
        """The record is durable."""
        self._accepted[accepted.src, accepted.boot, accepted.stream] = accepted.seq

    def owe(self, envelope: Envelope, *, again: bool = False) -> None:
        """The sender is to be told how far its stream has come."""
        owed = self._owed.setdefault(envelope.src, {})
        owed[key_of(envelope)] = again
        self._fences[envelope.src] = envelope.fence

    def owed(self) -> list[Owed]:
        """Acknowledgements that are due, packed into messages; they are due no more."""
        due, self._owed = self._owed, {}
        fences, self._fences = self._fences, {}
        return [
            Owed(src, fences[src], packed)
            for src, streams in due.items()
            for packed in _packed([self._position(key, again) for key, again in streams.items()])
        ]

    def _position(self, key: StreamKey, again: bool) -> StreamPosition:  # noqa: FBT001  # a pair
        _, boot, stream = key
        seq = self._accepted.get(key, 0)
        return StreamPosition(boot=boot, stream=stream, seq=seq, again=again)


def _packed(positions: list[StreamPosition]) -> list[tuple[StreamPosition, ...]]:
    starts = range(0, len(positions), MAX_POSITIONS)
    return [tuple(positions[start : start + MAX_POSITIONS]) for start in starts]
