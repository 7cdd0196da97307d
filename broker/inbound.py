"""From a delivery to an input of a core: decoded, once, not expired.

A message's age is never taken from two clocks: the smallest difference lately seen between our
clock and a sender's stands for "no age", and what exceeds it is age. So a skewed clock kills
nothing, the first message of a sender is never too old, and a clock that jumps costs messages for a
minute. Acknowledgements of uploads are cumulative and do no harm when they are old.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from itertools import islice
from typing import Generic, TypeVar

from broker.bus import Delivery
from broker.core import Received
from protocol.catalogue import row_of
from protocol.codec import (
    MAX_MESSAGE_BYTES,
    MAX_PAYLOAD_BYTES,
    Announced,
    Decoded,
    decode,
    read,
)
from protocol.envelope import Envelope
from protocol.messages import UploadsAcknowledged

MAX_MISSING = 1024
"""Numbers of a stream that may still come late; far above what a broker holds under way (100)."""
JOINED_LATE = 128
"""Numbers before the first that was seen, which may still come too."""
MAX_STREAMS = 20_000
WINDOW_S = 60.0
"""The smallest difference of clocks is that of the present window and the one before."""
AGELESS = f"{row_of(UploadsAcknowledged).name.partition('.')[0]}."
"""Types that begin so do not expire here."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A mapping that forgets what was not used for longest when it is full."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key, made if it is new."""
        if key not in self._items:
            self._items[key] = make()
            if len(self._items) > self._limit:
                self._items.popitem(last=False)
        self._items.move_to_end(key)
        return self._items[key]

    def last(self, count: int) -> list[tuple[K, V]]:
        """Those used last, the very last first."""
        return list(islice(reversed(self._items.items()), count))


class ClockDifference:
    """How far a sender's clock goes behind ours: the smallest difference of two windows.

    A window ends with the first message after it, so silence forgets nothing: what has waited
    somewhere meanwhile is told from a clock that has jumped by going on for another window.
    """

    def __init__(self, difference_s: float, now: float) -> None:
        self._began = now
        self._before_s = self._smallest_s = difference_s

    @property
    def smallest_s(self) -> float:
        """What stands for "no age"."""
        return min(self._before_s, self._smallest_s)

    def add(self, difference_s: float, now: float) -> None:
        """Note the difference at which a message came."""
        if now - self._began >= WINDOW_S:
            self._began = now
            self._before_s, self._smallest_s = self._smallest_s, difference_s
        else:
            self._smallest_s = min(self._smallest_s, difference_s)


class SeenNumbers:
    """Which sequence numbers of one stream have come, as the highest and those missing below it."""

    def __init__(self) -> None:
        self._highest: int | None = None
        self._missing: dict[int, None] = {}

    def add(self, seq: int) -> bool:
        """Note a number; returns whether it is new, which one missing for too long is not."""
        highest = self._highest
        if highest is None:
            highest = max(0, seq - 1 - JOINED_LATE)
        if seq <= highest:
            if seq not in self._missing:
                return False
            del self._missing[seq]
            return True
        first = max(highest + 1, seq - MAX_MISSING)
        self._missing.update(dict.fromkeys(range(first, seq)))
        self._highest = seq
        while len(self._missing) > MAX_MISSING:
            del self._missing[next(iter(self._missing))]
        return True


def received_of(decoded: Decoded) -> Received:
    """A decoded message as an input of a core."""
    return Received(decoded.message, decoded.envelope, decoded.address, decoded.signature)


class Inbound:
    """Decodes deliveries and keeps duplicates and expired messages from the core."""

    def __init__(self, root: str, *, limit_bytes: int = MAX_PAYLOAD_BYTES) -> None:
        self._root = root
        self._limit_bytes = limit_bytes
        self._seen: Recent[tuple[str, str, str], SeenNumbers] = Recent(MAX_STREAMS)
        self._differences: Recent[tuple[str, str], ClockDifference] = Recent(MAX_STREAMS)
        self.redelivered = 0
        self.expired = 0

    def read(self, delivery: Delivery) -> Decoded | Announced:
        """A delivery as a message, or the head of one that travels in chunks.

        Raises:
            RemoteProtocolError: if it is no valid message.
        """
        topic, limit = delivery.topic, self._limit_bytes
        return read(delivery.payload, topic, self._root, limit_bytes=limit)

    def decode(self, delivery: Delivery) -> Received:
        """A delivery as an input of a core.

        Raises:
            RemoteProtocolError: if it is no valid, whole message.
        """
        topic, limit = delivery.topic, self._limit_bytes
        return received_of(decode(delivery.payload, topic, self._root, limit_bytes=limit))

    def whole(self, payload: bytes, topic: str) -> Decoded:
        """A message that came in chunks.

        Raises:
            RemoteProtocolError: if it is no valid message.
        """
        return decode(payload, topic, self._root, limit_bytes=MAX_MESSAGE_BYTES)

    def is_due(self, envelope: Envelope, now: float, *, retain: bool) -> bool:
        """Whether the core shall see the message: neither a duplicate nor expired."""
        key = (envelope.src, envelope.boot, envelope.stream)
        if not self._seen.get(key, SeenNumbers).add(envelope.seq):
            self.redelivered += not retain
            return False
        return not self.is_expired(envelope, now)

    def is_expired(self, envelope: Envelope, now: float) -> bool:
        """Whether nobody needs the message any more; counted."""
        age_s = self.heard(envelope, now)
        ttl_ms = None if envelope.type.startswith(AGELESS) else envelope.ttl_ms
        expired = ttl_ms is not None and age_s * 1000 > ttl_ms
        self.expired += expired
        return expired

    def offsets_s(self, count: int) -> dict[str, float]:
        """How far the clocks of those heard last go behind ours, by source."""
        last = reversed(self._differences.last(count))
        return {src: difference.smallest_s for (src, _), difference in last}

    def heard(self, envelope: Envelope, now: float) -> float:
        """Note the sender's clock; returns the age of the message, seconds."""
        difference_s = now - envelope.ts_ns / 1e9
        key = (envelope.src, envelope.boot)
        known = self._differences.get(key, lambda: ClockDifference(difference_s, now))
        known.add(difference_s, now)
        return difference_s - known.smallest_s
