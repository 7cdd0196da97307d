"""The queue between a bus and whoever takes its deliveries.

QoS 1 messages are bounded by the broker, which stops at its window of unacknowledged ones; QoS 0
messages are bounded here: the oldest goes first when they come faster than they are taken.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, Protocol, TypeVar


class _HasQos(Protocol):
    @property
    def qos(self) -> int: ...


D = TypeVar("D", bound=_HasQos)


class DeliveryQueue(Generic[D]):
    """Deliveries in order of arrival."""

    def __init__(self, limit: int) -> None:
        self._queue: deque[D] = deque()
        self._limit = limit
        self._unsure = 0
        self._wake = asyncio.Event()
        self._closed = False
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, delivery: D) -> None:
        """Add a delivery; at the limit of QoS 0 ones the oldest of them goes."""
        if delivery.qos == 0:
            self._unsure += 1
            if self._unsure > self._limit:
                self._drop_oldest()
        self._queue.append(delivery)
        self._wake.set()

    def close(self) -> None:
        """End the iteration once what is there has been taken."""
        self._closed = True
        self._wake.set()

    def clear(self) -> None:
        """Forget what is there, such as what a lost connection brought."""
        self._queue.clear()
        self._unsure = 0

    async def __aiter__(self) -> AsyncIterator[D]:
        while True:
            while self._queue:
                delivery = self._queue.popleft()
                self._unsure -= delivery.qos == 0
                yield delivery
            if self._closed:
                return
            self._wake.clear()
            await self._wake.wait()

    def _drop_oldest(self) -> None:
        index = next(i for i, delivery in enumerate(self._queue) if delivery.qos == 0)
        del self._queue[index]
        self._unsure -= 1
        self.dropped += 1
