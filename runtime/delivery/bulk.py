"""A second connection for large things, made when the first of them travels."""

import asyncio
from collections.abc import Callable

from twintier.broker.bus import Bus, Delivery
from twintier.runtime.delivery.outgoing import Listening
from twintier.runtime.delivery.send_queue import SendQueue


class Bulk:
    """A bus of its own with its send queue; connects at its first use."""

    def __init__(self, bus: Bus, limit: int) -> None:
        """Prepare.

        Args:
            bus: not connected yet.
            limit: of messages that wait for it.
        """
        self.queue = SendQueue(limit)
        self._bus = bus
        self._used = asyncio.Event()

    @property
    def dropped(self) -> int:
        """Messages that a full queue, an absent bus or a refusal of the broker has cost."""
        return self.queue.lost + self._bus.dropped + self._bus.refused

    @property
    def refused(self) -> int:
        """Messages that the broker refused; they are among the dropped."""
        return self._bus.refused

    def use(self) -> None:
        """Something large is to travel."""
        self._used.set()

    async def run(
        self, changed: Callable[[Listening], None], arrived: Callable[[Delivery], None]
    ) -> None:
        """Wait for the first use, connect, then send and receive until cancelled.

        Args:
            changed: told of each change of filters that is in force.
            arrived: told of every delivery, which is acknowledged afterwards.
        """
        await self._used.wait()
        await self._bus.connect()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.queue.send(self._bus, changed))
                group.create_task(self._receive(arrived))
        finally:
            await self._bus.close()

    async def _receive(self, arrived: Callable[[Delivery], None]) -> None:
        async for delivery in self._bus.deliveries():
            arrived(delivery)
            await delivery.ack()


class ChunkRoute:
    """The way of chunks: the connection for large things, or the shared one without it."""

    def __init__(self, control: SendQueue, bulk: Bulk | None) -> None:
        self._control = control
        self._bulk = bulk

    def queue(self) -> SendQueue:
        """The queue that something large is about to enter."""
        if self._bulk is None:
            return self._control
        self._bulk.use()
        return self._bulk.queue
