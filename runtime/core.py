"""The port of a role's behaviour, and the inputs that the runtime gives it."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from twintier.protocol.address import Address
from twintier.protocol.envelope import Envelope
from twintier.protocol.messages.base import Message
from twintier.protocol.signing import Signature
from twintier.runtime.effects import Effect

Role = Literal["plvn", "edge", "cloud"]


@dataclass(frozen=True, slots=True)
class Received:
    """A message of a peer, decoded, not expired, from the source that its topic names."""

    message: Message
    envelope: Envelope
    address: Address
    signature: Signature | None = None
    """Not checked yet; the core knows whose it must be."""


@dataclass(frozen=True, slots=True)
class Started:
    """The bus is connected for the first time."""


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer that the core started has run out."""

    key: Hashable


@dataclass(frozen=True, slots=True)
class JobDone:
    """A job has ended with a result."""

    key: Hashable
    result: object


@dataclass(frozen=True, slots=True)
class JobFailed:
    """A job has raised, or its worker died."""

    key: Hashable
    reason: str


@dataclass(frozen=True, slots=True)
class Observed:
    """Something that the process's own source saw, such as a slot; not from the bus."""

    observation: object


Input = Received | Started | TimerFired | JobDone | JobFailed | Observed


class Core(Protocol):
    """A role's behaviour: synchronous, no I/O, no clock, no logging."""

    @property
    def role(self) -> Role:
        """Which role it plays."""
        ...

    @property
    def id(self) -> str:
        """Its identity within the role; `cloud` for the cloud twin."""
        ...

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        """Take an event at wall time `now` (Unix seconds) and say what shall happen."""
        ...

    def goodbye(self) -> Sequence[Effect]:
        """What to publish when the process ends of its own will, such as status offline."""
        ...
