"""Sizes and times of delivery."""

from dataclasses import dataclass, field

from twintier.protocol.codec import CHUNK_BYTES
from twintier.runtime.delivery.outbox import OutboxSettings


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """Of one process."""

    chunk_bytes: int = CHUNK_BYTES
    """Above it a message travels in chunks."""
    outbox: OutboxSettings = field(default_factory=OutboxSettings)
    ack_s: float = 0.1
    """Acknowledgements of so long are sent together."""
    silence_s: float = 2.0
    """Without a chunk for so long, what is missing is asked for again."""
