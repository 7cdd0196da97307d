"""How each process is, and what was refused."""

from typing import Annotated, Literal

from pydantic import Field

from protocol.messages.base import Count, Message, Name, NonNegative, Text, Value


class Counter(Value):
    """One named count since the process started."""

    name: Name
    count: Count


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


class MessageRefused(Message):
    """A message that could not be accepted, and why."""

    role: Literal["plvn", "edge", "cloud"]
    topic: Annotated[str, Field(max_length=256)]
    code: Name
    reason: Text
    size: Count
