"""Tells the senders of uploads how far their streams have come, many at a time."""

import asyncio
from collections.abc import Callable

from twintier.protocol.envelope import Envelope
from twintier.protocol.messages import UploadsAcknowledged
from twintier.runtime.delivery.branches import source_address
from twintier.runtime.delivery.positions import Positions
from twintier.runtime.effects import Publish


class Acknowledgements:
    """Those that one process owes."""

    def __init__(
        self, positions: Positions, publish: Callable[[Publish], None], pause_s: float
    ) -> None:
        """Owe nothing.

        Args:
            positions: how far each stream has come.
            publish: sends a message.
            pause_s: what is owed within it is sent together.
        """
        self._positions = positions
        self._publish = publish
        self._pause_s = pause_s
        self._owing = asyncio.Event()

    def owe(self, envelope: Envelope, *, again: bool = False) -> None:
        """The sender of an upload is to be told soon; `again` asks for what comes next."""
        self._positions.owe(envelope, again=again)
        self._owing.set()

    async def run(self) -> None:
        """Acknowledge, until cancelled."""
        while True:
            await self._owing.wait()
            await asyncio.sleep(self._pause_s)
            self._owing.clear()
            for owed in self._positions.owed():
                to = source_address(owed.src, "down")
                message = UploadsAcknowledged(positions=owed.positions)
                self._publish(Publish(message, to, fence=owed.fence))
