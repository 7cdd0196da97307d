"""What brings other messages through: acknowledgements, refusals, chunks of large ones.

They travel on the branch of the message that they speak of, or on its opposite.
"""

from typing import Annotated, Literal

from pydantic import Field

from twintier.protocol.messages.base import Count, Digest, Message, Text, Value

Stream = Annotated[str, Field(min_length=1, max_length=256)]
Boot = Annotated[str, Field(min_length=1, max_length=64)]
MAX_POSITIONS = 64
MAX_CHUNK_BYTES = 1024 * 1024


class StreamPosition(Value):
    """How far a receiver has come in one stream of one process."""

    boot: Boot
    stream: Stream
    seq: Count
    """Everything up to this number has had its effect; 0 is nothing."""
    again: bool
    """Whether later numbers came and were not taken, so that all after `seq` must come again."""


class UploadsAcknowledged(Message):
    """What the receiver has of the sender's outbox; cumulative, so only the last one matters."""

    positions: Annotated[tuple[StreamPosition, ...], Field(min_length=1, max_length=MAX_POSITIONS)]


class MessageReturned(Message):
    """A message of the receiver was refused, and will be whenever it comes."""

    type: Annotated[str, Field(max_length=80)]
    boot: Boot
    stream: Stream
    seq: Annotated[int, Field(ge=1, lt=2**63)]
    code: Annotated[str, Field(min_length=1, max_length=64)]
    reason: Text


class ChunksRequested(Message):
    """Asks for consecutive chunks of a message that was announced by its digest."""

    digest: Digest
    first: Count
    count: Annotated[int, Field(ge=1, le=64)]


class ChunkSent(Message):
    """One chunk of an announced message."""

    index: Count
    state: Literal["here", "gone"]
    """`gone` if the sender no longer has the message."""
    data: Annotated[bytes, Field(max_length=MAX_CHUNK_BYTES)]
