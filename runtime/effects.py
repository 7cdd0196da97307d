"""What a core may ask for: the whole vocabulary between behaviour and I/O."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Protocol, get_args

from twintier.protocol.address import Address
from twintier.protocol.errors import RefusalCode
from twintier.protocol.ids import InmfId
from twintier.protocol.messages import MessageReturned, UploadsAcknowledged
from twintier.protocol.messages.base import Message
from twintier.protocol.values import Fence

_CODES = frozenset(get_args(RefusalCode))


class Job(Protocol):
    """Long work for a worker process: picklable, no I/O, randomness from a seed it carries."""

    def run(self) -> object:
        """Do the work; the result must be picklable."""
        ...


class Record(Protocol):
    """Something durable; the role's store knows how to keep each of its record classes."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Send a message on its topic; the catalogue gives topic, QoS, retain and ttl."""

    message: Message
    to: Address = field(default_factory=Address)
    fence: Fence | None = None
    cid: bytes | None = None
    """Correlation id: of the request that this answers, or that an answer shall carry."""
    ttl_s: float | None = None
    """Where the catalogue leaves the expiry to the sender."""
    sim_time_s: float | None = None


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Listen to these messages at an address from now on.

    The broker has acknowledged the subscription before anything after it is published.
    """

    messages: tuple[type[Message], ...]
    to: Address


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Listen no longer to these messages at an address."""

    messages: tuple[type[Message], ...]
    to: Address


@dataclass(frozen=True, slots=True)
class Save:
    """Make a record durable before anything of the same effects is published."""

    record: Record


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Deliver `TimerFired(key)` after some wall time; a new timer replaces one of the same key.

    Keys are frozen records or enumerations of the role, so that a core matches on them.
    """

    key: Hashable
    after_s: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Forget the timer of this key, if there is one."""

    key: Hashable


@dataclass(frozen=True, slots=True)
class StartJob:
    """Run a job in a worker process; `JobDone(key)` or `JobFailed(key)` follows."""

    key: Hashable
    job: Job
    priority: int = field(default=0)
    """Of the jobs that wait for a worker, the one with the smallest number goes first."""


@dataclass(frozen=True, slots=True)
class Actuate:
    """Carry out an action of an INMF in the present slot; for the caller of `observe`."""

    inmf: InmfId
    action: tuple[float, ...]
    """As numbers: 0 and 1, the index of a choice, or real ones."""


@dataclass(frozen=True, slots=True)
class Delegate:
    """Decide the next slots of an INMF by this policy, then observe what came of it."""

    inmf: InmfId
    policy: object


@dataclass(frozen=True, slots=True)
class Count:
    """Add to a counter that `HealthReported` shows; for what is not lost but worth knowing."""

    counter: str
    count: int = 1


def count_of(returned: MessageReturned) -> Count:
    """Counts a message that came back by its code; those that are not ours share one counter."""
    return Count(f"returned.{returned.code if returned.code in _CODES else 'other'}")


@dataclass(frozen=True, slots=True)
class ConfirmUploads:
    """What this message says of our uploads is true: do not send them again."""

    message: UploadsAcknowledged | MessageReturned


@dataclass(frozen=True, slots=True)
class Defer:
    """Do not count the present message as taken: whoever keeps it sends it again later."""


Answer = Actuate | Delegate
"""What whoever gave the core an observation gets back."""
Effect = (
    Publish
    | Subscribe
    | Unsubscribe
    | Save
    | StartTimer
    | CancelTimer
    | StartJob
    | Actuate
    | Delegate
    | Count
    | ConfirmUploads
    | Defer
)
