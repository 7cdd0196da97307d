"""A bus and a clock that fail on purpose, seeded: for tests and for `--inject`.

Faults are those that receivers see: a delivery is lost for good, comes twice, comes late and so
overtakes others, the link is cut for a while, or a process's clock is wrong. The same seed and
traffic give the same faults.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, fields
from types import TracebackType
from typing import Self

from twintier.broker.bus import Bus, Delivery, Qos, Will
from twintier.broker.clock import Clock
from twintier.broker.delivery_queue import DeliveryQueue
from twintier.broker.errors import LocalBusError, UnavailableError

QOS0_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Faults:
    """How often, and how badly."""

    seed: int = 1
    loss: float = 0.0
    """Probability that a delivery never comes."""
    duplicate: float = 0.0
    """Probability that it comes a second time, as late as a delayed one."""
    delay: float = 0.0
    """Probability that it comes late."""
    delay_s: float = 1.0
    """Longest delay."""
    partition_every_s: float = 0.0
    """Mean time between cuts of the link; 0 is never."""
    partition_s: float = 2.0
    """How long a cut lasts."""
    skew_s: float = 0.0
    """How wrong a process's clock may be, either way."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `loss=0.01,duplicate=0.05,seed=7`.

        Raises:
            LocalBusError: if a name is unknown or a number is none or out of bounds.
        """
        known = {field.name for field in fields(cls)}
        values: dict[str, float] = {}
        for part in filter(None, text.split(",")):
            name, _, value = part.partition("=")
            if name not in known:
                raise LocalBusError(f"fault {name!r} is none of {', '.join(sorted(known))}")
            try:
                values[name] = float(value)
            except ValueError as error:
                raise LocalBusError(f"fault {name} needs a number, not {value!r}") from error
            if values[name] < 0 or (name in {"loss", "duplicate", "delay"} and values[name] > 1):
                raise LocalBusError(f"fault {name} of {value} is out of bounds")
        seed = int(values.pop("seed", cls().seed))
        return cls(seed=seed, **values)


class _Once:
    """Acknowledges a delivery once, however many copies of it there are.

    A broker may have given the same packet id to another message by the second time.
    """

    __slots__ = ("_delivery",)

    def __init__(self, delivery: Delivery) -> None:
        self._delivery: Delivery | None = delivery

    async def ack(self) -> None:
        delivery, self._delivery = self._delivery, None
        if delivery is not None:
            await delivery.ack()


class LateDelivery:
    """A delivery that was held back, or one of two copies."""

    __slots__ = ("_delivery", "_once", "redelivered")

    def __init__(self, delivery: Delivery, once: _Once, *, redelivered: bool) -> None:
        self._delivery = delivery
        self._once = once
        self.redelivered = redelivered

    @property
    def topic(self) -> str:
        """Where it was published."""
        return self._delivery.topic

    @property
    def payload(self) -> bytes:
        """Its bytes."""
        return self._delivery.payload

    @property
    def qos(self) -> int:
        """Under which QoS it arrived."""
        return self._delivery.qos

    @property
    def retain(self) -> bool:
        """Whether it is a kept value."""
        return self._delivery.retain

    async def ack(self) -> None:
        """Acknowledge the delivery behind it; a second copy does nothing."""
        await self._once.ack()


class FaultyBus:
    """Another bus with faults; see the port for what its methods promise."""

    def __init__(self, bus: Bus, faults: Faults, name: str) -> None:
        """Wrap a bus.

        Args:
            bus: not connected yet.
            faults: how it fails.
            name: of the client; clients of one seed fail independently.
        """
        self._bus = bus
        self._faults = faults
        self._random = random.Random(f"{faults.seed}/{name}")
        self._deliveries: DeliveryQueue[Delivery] = DeliveryQueue(QOS0_LIMIT)
        self._group: asyncio.TaskGroup | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._together = asyncio.Event()
        self._together.set()
        self.counts: Counter[str] = Counter()
        """Faults so far: lost, duplicated, delayed, partitions."""
        self.on_fault: Callable[[str], None] = lambda _kind: None
        """Told of each fault by its kind."""

    @property
    def up(self) -> bool:
        """Whether the bus is connected and not cut."""
        return self._bus.up and self._together.is_set()

    @property
    def connections(self) -> int:
        """How often the bus behind it has connected."""
        return self._bus.connections

    @property
    def waiting(self) -> int:
        """Messages that have arrived and not been taken."""
        return len(self._deliveries)

    @property
    def dropped(self) -> int:
        """QoS 0 messages that arrived faster than they were taken."""
        return self._deliveries.dropped + self._bus.dropped

    @property
    def refused(self) -> int:
        """QoS 1 messages that the broker behind it refused."""
        return self._bus.refused

    async def connect(
        self,
        will: Callable[[], Will] | None = None,
        came_up: Callable[[], None] | None = None,
    ) -> None:
        """Connect, and begin to fail."""
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        await self._bus.connect(will, came_up)
        self._tasks.append(self._group.create_task(self._pump()))
        if self._faults.partition_every_s > 0:
            self._tasks.append(self._group.create_task(self._cut()))

    async def wait_up(self) -> None:
        """Wait until the bus is connected."""
        await self._bus.wait_up()

    async def close(self) -> None:
        """Close the bus and forget what is still late."""
        group, self._group = self._group, None
        if group is None:
            return
        await self._bus.close()
        for task in self._tasks:
            task.cancel()
        await group.__aexit__(None, None, None)
        self._deliveries.close()

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Listen to more filters."""
        await self._bus.subscribe(filters)

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """Listen to these filters no longer."""
        await self._bus.unsubscribe(filters)

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
        """Hand over a message, unless the link is cut."""
        if not self._together.is_set():
            try:
                async with asyncio.timeout(1.0):
                    await self._together.wait()
            except TimeoutError as error:
                raise UnavailableError("the link is cut") from error
        await self._bus.publish(topic, payload, qos=qos, retain=retain, ttl_s=ttl_s, cid=cid)

    async def flush(self) -> None:
        """Wait until every QoS 1 message handed over has been acknowledged."""
        await self._bus.flush()

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """Messages as they arrive, if they do."""
        async for delivery in self._deliveries:
            yield delivery

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

    async def _pump(self) -> None:
        async for delivery in self._bus.deliveries():
            await self._together.wait()
            await self._fail(delivery)

    async def _fail(self, delivery: Delivery) -> None:
        draw = self._random.random
        lost, doubled, late = (
            draw() < self._faults.loss,
            draw() < self._faults.duplicate,
            draw() < self._faults.delay,
        )
        if lost:
            self._count("lost")
            await delivery.ack()
            return
        once = _Once(delivery)
        if doubled:
            self._count("duplicated")
            self._later(LateDelivery(delivery, once, redelivered=True))
        copy = LateDelivery(delivery, once, redelivered=delivery.redelivered)
        if late:
            self._count("delayed")
            self._later(copy)
        else:
            self._deliveries.put(copy)

    def _count(self, kind: str) -> None:
        self.counts[kind] += 1
        self.on_fault(kind)

    def _later(self, delivery: Delivery) -> None:
        after_s = self._random.uniform(0.0, self._faults.delay_s)
        asyncio.get_running_loop().call_later(after_s, self._deliveries.put, delivery)

    async def _cut(self) -> None:
        while True:
            await asyncio.sleep(self._random.expovariate(1 / self._faults.partition_every_s))
            self._count("partitions")
            self._together.clear()
            await asyncio.sleep(self._faults.partition_s)
            self._together.set()


class SkewedClock:
    """Another clock, wrong by an offset that grows."""

    def __init__(self, clock: Clock, *, offset_s: float, drift: float = 0.0) -> None:
        self._clock = clock
        self._start = clock.now()
        self._offset_s = offset_s
        self._drift = drift

    def now(self) -> float:
        """Unix seconds, wrong."""
        true = self._clock.now()
        return true + self._offset_s + self._drift * (true - self._start)


def skewed(clock: Clock, faults: Faults, name: str) -> Clock:
    """The clock of one process: wrong by up to `skew_s`, always the same for one seed and name."""
    if faults.skew_s == 0:
        return clock
    drawn = random.Random(f"{faults.seed}/{name}/clock").uniform(-1.0, 1.0)
    return SkewedClock(clock, offset_s=drawn * faults.skew_s)
