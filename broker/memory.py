"""A bus in memory with the semantics of a broker: one hub, many clients, no sockets.

For tests and for a run in one process. A client whose link is cut keeps its session: what it had
not acknowledged comes again, marked as redelivered.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Self

from twintier.broker.bus import Qos, Will, check_publish
from twintier.broker.delivery_queue import DeliveryQueue
from twintier.broker.errors import UnavailableError
from twintier.protocol.codec import MAX_PAYLOAD_BYTES
from twintier.protocol.topics import matches

QOS0_LIMIT = 1000


class MemoryHub:
    """The broker: retained messages and the sessions of its clients."""

    def __init__(self, *, limit_bytes: int = MAX_PAYLOAD_BYTES, unavailable_s: float = 1.0) -> None:
        self.limit_bytes = limit_bytes
        self.unavailable_s = unavailable_s
        """How long a publisher waits for a hub that is away."""
        self.retained: dict[str, bytes] = {}
        self.available = asyncio.Event()
        self.available.set()
        self._clients: dict[MemoryBus, None] = {}

    def attach(self, client: "MemoryBus") -> None:
        """Add a client's session."""
        self._clients[client] = None

    def detach(self, client: "MemoryBus") -> None:
        """End a client's session."""
        self._clients.pop(client, None)

    def publish(self, topic: str, payload: bytes, qos: Qos, *, retain: bool, expiry: float) -> None:
        """Give a message to every client that listens, and keep it if it is retained."""
        if retain and payload:
            self.retained[topic] = payload
        elif retain:
            self.retained.pop(topic, None)
        for client in list(self._clients):
            client.offer(topic, payload, qos, expiry)

    def stop(self) -> None:
        """Go away like a broker that is killed and keeps its sessions; links break."""
        self.available.clear()
        for client in list(self._clients):
            client.break_link(send_will=False)

    def start(self) -> None:
        """Be there again."""
        self.available.set()
        for client in list(self._clients):
            client.mend_link()


class Filters:
    """Topic filters as a tree of levels: a match costs the topic's levels, however many there are.

    An edge server has ten filters for each of its twins.
    """

    def __init__(self) -> None:
        self._below: dict[str, Filters] = {}
        self._ends = False

    @property
    def empty(self) -> bool:
        """Whether there is none."""
        return not self._ends and not self._below

    def add(self, levels: Sequence[str]) -> None:
        """Add a filter; again does nothing."""
        if not levels:
            self._ends = True
            return
        self._below.setdefault(levels[0], Filters()).add(levels[1:])

    def discard(self, levels: Sequence[str]) -> None:
        """Remove a filter and the branches that only it needed."""
        if not levels:
            self._ends = False
            return
        branch = self._below.get(levels[0])
        if branch is None:
            return
        branch.discard(levels[1:])
        if branch.empty:
            del self._below[levels[0]]

    def match(self, levels: Sequence[str]) -> bool:
        """Whether one of them matches the levels of a topic."""
        if "#" in self._below:  # stands for no level as well
            return True
        if not levels:
            return self._ends
        branches = (self._below.get(levels[0]), self._below.get("+"))
        return any(branch is not None and branch.match(levels[1:]) for branch in branches)


class MemoryDelivery:
    """A message for one client."""

    __slots__ = ("_bus", "_link", "expiry", "payload", "qos", "redelivered", "retain", "topic")

    def __init__(
        self, bus: "MemoryBus", topic: str, payload: bytes, qos: int, *, retain: bool, expiry: float
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.redelivered = False
        self.expiry = expiry
        self._bus = bus
        self._link = bus.connections

    async def ack(self) -> None:
        """Take it out of the session, unless the link over which it came is gone."""
        if self._link == self._bus.connections:
            self._bus.unacknowledged.pop(id(self), None)

    def again(self) -> "MemoryDelivery":
        """The same message over the present link."""
        delivery = MemoryDelivery(
            self._bus, self.topic, self.payload, self.qos, retain=self.retain, expiry=self.expiry
        )
        delivery.redelivered = True
        return delivery


class MemoryBus:
    """One client of a hub."""

    def __init__(self, hub: MemoryHub) -> None:
        self._hub = hub
        self._deliveries: DeliveryQueue[MemoryDelivery] = DeliveryQueue(QOS0_LIMIT)
        self._filters = Filters()
        self._will: Callable[[], Will] | None = None
        self._came_up: Callable[[], None] | None = None
        self._last_will: Will | None = None
        self._up = asyncio.Event()
        self.unacknowledged: dict[int, MemoryDelivery] = {}
        self.connections = 0

    @property
    def up(self) -> bool:
        """Whether the link is there."""
        return self._up.is_set()

    @property
    def waiting(self) -> int:
        """Messages that have arrived and not been taken."""
        return len(self._deliveries)

    @property
    def dropped(self) -> int:
        """QoS 0 messages that came faster than they were taken."""
        return self._deliveries.dropped

    @property
    def refused(self) -> int:
        """None: a hub has no access rules."""
        return 0

    async def connect(
        self,
        will: Callable[[], Will] | None = None,
        came_up: Callable[[], None] | None = None,
    ) -> None:
        """Join the hub, now or when it is there."""
        self._will = will
        self._came_up = came_up
        self._hub.attach(self)
        if self._hub.available.is_set():
            self.mend_link()

    async def wait_up(self) -> None:
        """Wait until the link is there."""
        await self._up.wait()

    async def close(self) -> None:
        """Leave without a will."""
        self._hub.detach(self)
        self._up.clear()
        self._deliveries.close()

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Listen; kept values come at once."""
        for topic_filter in filters:
            self._filters.add(topic_filter.split("/"))
        for topic, payload in sorted(self._hub.retained.items()):
            if any(matches(f, topic) for f in filters):
                self._put(MemoryDelivery(self, topic, payload, 1, retain=True, expiry=float("inf")))

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """Listen no longer."""
        for topic_filter in filters:
            self._filters.discard(topic_filter.split("/"))

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
        """Hand over a message; see the port."""
        check_publish(topic, payload, self._hub.limit_bytes)
        if not self.up:
            try:
                async with asyncio.timeout(self._hub.unavailable_s):
                    await self._up.wait()
            except TimeoutError as error:
                raise UnavailableError(f"no hub for {self._hub.unavailable_s} s") from error
        now = asyncio.get_running_loop().time()
        expiry = float("inf") if ttl_s is None else now + ttl_s
        self._hub.publish(topic, payload, qos, retain=retain, expiry=expiry)
        await asyncio.sleep(0)  # a publisher in a loop must let the others run

    async def flush(self) -> None:
        """Nothing waits: the hub takes each message at once."""

    async def deliveries(self) -> AsyncIterator[MemoryDelivery]:
        """Messages as they arrive; expired ones are left out."""
        async for delivery in self._deliveries:
            if delivery.expiry > asyncio.get_running_loop().time():
                yield delivery
            else:
                await delivery.ack()

    async def __aenter__(self) -> Self:
        """Connect and wait until connected."""
        await self.connect()
        await self.wait_up()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()

    def offer(self, topic: str, payload: bytes, qos: int, expiry: float) -> None:
        """Take a message of the hub if a filter wants it; a cut link keeps QoS 1 ones."""
        if not self._filters.match(topic.split("/")):
            return
        delivery = MemoryDelivery(self, topic, payload, qos, retain=False, expiry=expiry)
        if self.up:
            self._put(delivery)
        elif qos == 1:
            self.unacknowledged[id(delivery)] = delivery

    def break_link(self, *, send_will: bool = True) -> None:
        """Lose the connection: what was not acknowledged will come again."""
        self._up.clear()
        self._deliveries.clear()
        if send_will and self._last_will is not None:
            will = self._last_will
            self._hub.publish(will.topic, will.payload, 1, retain=True, expiry=float("inf"))

    def mend_link(self) -> None:
        """Connect again."""
        if self.up:
            return
        self.connections += 1
        self._last_will = None if self._will is None else self._will()
        kept = deque(self.unacknowledged.values())
        self.unacknowledged.clear()
        self._up.set()
        for delivery in kept:
            self._put(delivery.again())
        if self._came_up is not None:
            self._came_up()

    def _put(self, delivery: MemoryDelivery) -> None:
        if delivery.qos == 1:
            self.unacknowledged[id(delivery)] = delivery
        self._deliveries.put(delivery)
