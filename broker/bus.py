"""The bus port: what the runtime needs of a message bus, and no more.

Semantics are those of MQTT with QoS 0 and 1, clean of everything the wire's subset leaves out. One
contract suite holds every implementation to them.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self

from twintier.broker.errors import LocalBusError

Qos = Literal[0, 1]
WINDOW = 64
"""Messages that a publisher may have unacknowledged."""


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says in a client's name when its connection breaks; retained, QoS 1."""

    topic: str
    payload: bytes


class Delivery(Protocol):
    """A message that arrived; the broker keeps a QoS 1 one until it is acknowledged."""

    @property
    def topic(self) -> str:
        """Where it was published."""
        ...

    @property
    def payload(self) -> bytes:
        """Its bytes."""
        ...

    @property
    def qos(self) -> int:
        """Under which QoS it arrived."""
        ...

    @property
    def retain(self) -> bool:
        """Whether it is a kept value, sent because of the subscription."""
        ...

    @property
    def redelivered(self) -> bool:
        """Whether the broker says that it may have come before."""
        ...

    async def ack(self) -> None:
        """Tell the broker that the message is done with; after a reconnect this does nothing."""
        ...


class Bus(Protocol):
    """A connection to a message bus that mends itself until it is closed."""

    @property
    def up(self) -> bool:
        """Whether the bus is connected now."""
        ...

    @property
    def connections(self) -> int:
        """How often it has connected."""
        ...

    @property
    def waiting(self) -> int:
        """Messages that have arrived and not been taken."""
        ...

    @property
    def dropped(self) -> int:
        """QoS 0 messages that arrived faster than they were taken."""
        ...

    @property
    def refused(self) -> int:
        """QoS 1 messages that the broker refused and said so; they reach nobody."""
        ...

    async def connect(
        self,
        will: Callable[[], Will] | None = None,
        came_up: Callable[[], None] | None = None,
    ) -> None:
        """Begin to connect, and go on until `close`; returns without waiting.

        Args:
            will: asked for a fresh will at each connection.
            came_up: called at each connection, once it is subscribed.
        """
        ...

    async def wait_up(self) -> None:
        """Wait until the bus is connected and subscribed."""
        ...

    async def close(self) -> None:
        """Disconnect cleanly, so that no will is sent; bounded in time."""
        ...

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Listen to more filters, now and after each reconnect.

        Returns once the broker has acknowledged; while the bus is away, at once: nothing is
        published before it is back and subscribed.

        Raises:
            LocalBusError: if the broker refuses one.
        """
        ...

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """Listen to these filters no longer."""
        ...

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: Qos,
        retain: bool = False,
        ttl_s: float | None = None,
        cid: bytes | None = None,
    ) -> None:
        """Hand over a message; at QoS 1 it then is sent until acknowledged, across reconnects.

        Returns when the message is in the window of unacknowledged ones. Where the broker speaks
        MQTT 5, expiry and correlation are its properties too, for clients that do not read ours.

        Raises:
            UnavailableError: if the bus is away, or takes nothing, for a bounded time.
            LocalBusError: if the topic or the size is not what the bus can carry.
        """
        ...

    async def flush(self) -> None:
        """Wait until every QoS 1 message handed over has been acknowledged."""
        ...

    def deliveries(self) -> AsyncIterator[Delivery]:
        """Messages as they arrive, in order; ends when the bus is closed."""
        ...

    async def __aenter__(self) -> Self:
        """Connect and wait until connected."""
        ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        ...


def check_publish(topic: str, payload: bytes, limit_bytes: int) -> None:
    """Refuse what brokers drop without a word, or cut the link for.

    Raises:
        LocalBusError: if the topic has wildcards, `$`, empty levels, NUL or more than 256 bytes,
            or the payload exceeds the limit.
    """
    if len(payload) > limit_bytes:
        raise LocalBusError(
            f"payload of {len(payload)} bytes for {topic[:64]} exceeds {limit_bytes}; "
            "send it in parts or raise the limit on both sides"
        )
    bad = set("+#$\0 ") & set(topic)
    if bad or not topic or len(topic.encode()) > 256 or "" in topic.split("/"):
        raise LocalBusError(
            f"topic {topic[:64]!r} is outside the subset that every broker carries: "
            "no wildcard, '$', space, NUL or empty level, at most 256 bytes"
        )
