"""How each process is, and what was refused."""

from typing import Annotated, Literal

from pydantic import Field

from twintier.protocol.messages.base import Count, Message, Name, NonNegative, Real, Text, Value


class Counter(Value):
    """One named count since the process started."""

    name: Name
    count: Count


class PeerClock(Value):
    """How far the clock of a process that is heard goes behind ours.

    The smallest difference between arrival and sending that was seen, so the shortest time on the
    way is in it.
    """

    src: Annotated[str, Field(max_length=72)]
    offset_s: Real


class HealthReported(Message):
    """Counters and load of one process."""

    role: Literal["plvn", "edge", "cloud"]
    uptime_s: NonNegative
    published: Count
    delivered: Count
    redelivered: Count
    refused: Count
    dropped: Count
    inbox: Count
    sim_time_s: NonNegative
    speed: NonNegative
    """Simulated seconds a second that were reached; 0 where nothing is simulated."""
    counters: Annotated[tuple[Counter, ...], Field(max_length=64)]
    peers: Annotated[tuple[PeerClock, ...], Field(max_length=32)]
    """Those heard last."""


class MessageRefused(Message):
    """A message that could not be accepted, and why."""

    role: Literal["plvn", "edge", "cloud"]
    topic: Annotated[str, Field(max_length=256)]
    code: Name
    reason: Text
    size: Count
