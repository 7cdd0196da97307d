"""From a delivery to an input of a core: decoded, once, not expired.

A message's age is never taken from two clocks: the smallest difference lately seen between our
clock and a sender's stands for "no age", and what exceeds it is age. So a skewed clock kills
nothing, the first message of a sender is never too old, and a clock that jumps costs messages for a
minute. Acknowledgements of uploads are cumulative and do no harm when they are old.
"""

from twintier.broker.bus import Delivery
from twintier.protocol.catalogue import row_of
from twintier.protocol.codec import (
    MAX_MESSAGE_BYTES,
    MAX_PAYLOAD_BYTES,
    Announced,
    Decoded,
    decode,
    read,
)
from twintier.protocol.envelope import Envelope
from twintier.protocol.messages import UploadsAcknowledged
from twintier.runtime.core import Received
from twintier.runtime.delivery.seen import Recent, SeenNumbers

MAX_STREAMS = 20_000
WINDOW_S = 60.0
"""The smallest difference of clocks is that of the present window and the one before."""
LARGEST_JUMP_S = 5.0
"""By which one message's time goes ahead of those before it without another that agrees."""
AGELESS = f"{row_of(UploadsAcknowledged).name.partition('.')[0]}."
"""Types that begin so do not expire here."""


class ClockDifference:
    """How far a sender's clock goes behind ours: the smallest difference of two windows.

    A window ends with the first message after it, so silence forgets nothing: what has waited
    somewhere meanwhile is told from a clock that has jumped by going on for another window.
    """

    def __init__(self, difference_s: float, now: float) -> None:
        self._began = now
        self._before_s = self._smallest_s = difference_s
        self._suspect_s: float | None = None

    @property
    def smallest_s(self) -> float:
        """What stands for "no age"."""
        return min(self._before_s, self._smallest_s)

    def add(self, difference_s: float, now: float) -> None:
        """Note the difference at which a message came.

        One message whose time is far ahead of those before it is not believed until the next one
        agrees: it would make all that come after it look old.
        """
        suspect_s, self._suspect_s = self._suspect_s, None
        ahead = self.smallest_s - difference_s > LARGEST_JUMP_S
        if ahead and (suspect_s is None or abs(suspect_s - difference_s) > LARGEST_JUMP_S):
            self._suspect_s = difference_s
            return
        if now - self._began >= WINDOW_S:
            self._began = now
            self._before_s, self._smallest_s = self._smallest_s, difference_s
        else:
            self._smallest_s = min(self._smallest_s, difference_s)


def received_of(decoded: Decoded) -> Received:
    """A decoded message as an input of a core."""
    return Received(decoded.message, decoded.envelope, decoded.address, decoded.signature)


class Decoder:
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
        return max(difference_s - known.smallest_s, 0.0)
