"""The queue before the bus: messages, acknowledgements and filters, sent in order by one task.

It is bounded and never blocks a core: when it is full the oldest QoS 0 message goes, or the oldest
at all, and is counted. Acknowledgements pass through the same queue, so a message is acknowledged
only after what it caused has been handed to the bus.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from twintier.broker.bus import Bus, Delivery
from twintier.broker.errors import LocalBusError, UnavailableError
from twintier.runtime.delivery.outgoing import Listening, Outgoing


class SendQueue:
    """Bounded queue of messages and acknowledgements, sent in order."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queue: deque[Outgoing | Listening | Delivery] = deque()
        self._messages = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._room = asyncio.Event()
        self.published = 0
        self.dropped = 0
        """Messages that a full queue or an absent bus has cost."""
        self.unsendable = 0
        """Messages that the bus cannot carry at all; these are not among the dropped."""

    def __len__(self) -> int:
        return self._messages

    @property
    def lost(self) -> int:
        """Messages that were queued and never handed over, each counted once."""
        return self.dropped + self.unsendable

    @property
    def full(self) -> bool:
        """Whether the next message costs an older one."""
        return self._messages >= self._limit

    def put(self, outgoing: Outgoing) -> None:
        """Queue a message; when full, an older one goes."""
        if self.full:
            self._drop_one()
        self._messages += 1
        self._append(outgoing)

    def put_ack(self, delivery: Delivery) -> None:
        """Acknowledge a delivery once everything queued so far has been handed over."""
        if delivery.qos:
            self._append(delivery)

    def put_listening(self, listening: Listening) -> None:
        """Change what is listened to before anything queued later is sent."""
        self._append(listening)

    async def wait_idle(self) -> None:
        """Wait until everything has been handed over."""
        await self._idle.wait()

    async def wait_room(self) -> None:
        """Wait until the queue is not full."""
        while self.full:
            self._room.clear()
            await self._room.wait()

    async def send(self, bus: Bus, changed: Callable[[Listening], None]) -> None:
        """Send for ever; `changed` is told of each change of filters that is in force."""
        while True:
            while self._queue:
                item = self._queue.popleft()
                if isinstance(item, Outgoing):
                    self._messages -= 1
                    self._room.set()
                    await self._send(bus, item)
                elif isinstance(item, Listening):
                    await (bus.subscribe if item.on else bus.unsubscribe)(item.filters)
                    changed(item)
                else:
                    await item.ack()
            self._idle.set()
            self._wake.clear()
            await self._wake.wait()

    def _append(self, item: Outgoing | Listening | Delivery) -> None:
        self._queue.append(item)
        self._idle.clear()
        self._wake.set()

    async def _send(self, bus: Bus, item: Outgoing) -> None:
        loop = asyncio.get_running_loop()
        void_at = float("inf") if item.ttl_s is None else loop.time() + item.ttl_s
        while item.qos == 1 or bus.up:
            try:
                await bus.publish(
                    item.topic,
                    item.payload,
                    qos=item.qos,
                    retain=item.retain,
                    ttl_s=item.ttl_s,
                    cid=item.cid,
                )
            except UnavailableError:
                if item.qos == 0 or loop.time() > void_at:
                    break
            except LocalBusError:
                self.unsendable += 1
                return
            else:
                self.published += 1
                return
        self.dropped += 1

    def _drop_one(self) -> None:
        messages = [(i, m) for i, m in enumerate(self._queue) if isinstance(m, Outgoing)]
        unsure = (i for i, message in messages if message.qos == 0)
        del self._queue[next(unsure, messages[0][0])]
        self._messages -= 1
        self.dropped += 1
