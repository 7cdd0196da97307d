"""The window of QoS 1 messages that a broker has not acknowledged, across connections.

A publisher waits while the window is full. What a broken connection left unacknowledged is sent
again, in order, over the next one; what has expired meanwhile is given up and counted.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Unacknowledged:
    """A message on its way to the broker."""

    topic: str
    payload: bytes
    retain: bool
    void_at: float
    """Loop time from which nobody needs it."""
    cid: bytes | None = None
    """Correlation."""
    mid: int = field(default=0)
    """Packet id on the present connection; 0 while it has not been sent there."""


class Window:
    """At most `size` unacknowledged messages, in the order of publishing."""

    def __init__(self, size: int) -> None:
        self._places = asyncio.Semaphore(size)
        self._messages: dict[Unacknowledged, None] = {}
        self._by_mid: dict[int, Unacknowledged] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self.expired = 0

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def full(self) -> bool:
        """Whether the next message has to wait."""
        return self._places.locked()

    async def add(self, message: Unacknowledged) -> None:
        """Wait for a place and take it."""
        await self._places.acquire()
        self._messages[message] = None
        self._empty.clear()

    def sent(self, message: Unacknowledged, mid: int) -> None:
        """A message went out over the present connection."""
        message.mid = mid
        self._by_mid[mid] = message

    def acknowledged(self, mid: int) -> None:
        """The broker has it; an unknown packet id does nothing."""
        message = self._by_mid.pop(mid, None)
        if message is not None:
            self._leave(message)

    def again(self) -> Iterator[Unacknowledged]:
        """After a reconnect: what has to be sent again, oldest first."""
        self._by_mid.clear()
        now = asyncio.get_running_loop().time()
        for message in list(self._messages):
            if message.void_at > now:
                yield message
            else:
                self.expired += 1
                self._leave(message)

    async def wait_empty(self) -> None:
        """Wait until nothing is unacknowledged."""
        await self._empty.wait()

    def _leave(self, message: Unacknowledged) -> None:
        del self._messages[message]
        self._places.release()
        if not self._messages:
            self._empty.set()
