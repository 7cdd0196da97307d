"""What waits for the bus: encoded messages, and changes of what is listened to. No I/O."""

from dataclasses import dataclass

from twintier.broker.bus import Qos
from twintier.protocol.catalogue import Guarantee


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
    guarantee: Guarantee = "plain"
    bulk: bool = False
    """Whether it may travel in chunks."""
    cid: bytes | None = None
    """Ties it to what it answers."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Filters to listen to, or no longer, from here on in the order of messages."""

    filters: tuple[str, ...]
    on: bool
