"""Sends what is kept in the outbox again and again, until its receiver has acknowledged it.

Uploads are saved by whoever saves the effects that they are part of; nothing is sent before that.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial

from twintier.broker.clock import Clock
from twintier.protocol.codec import with_low_watermark
from twintier.protocol.messages import MessageReturned, UploadsAcknowledged
from twintier.runtime.delivery.chunks import LONGEST_S
from twintier.runtime.delivery.large_messages import LargeSender
from twintier.runtime.delivery.outbox import Outbox
from twintier.runtime.delivery.outgoing import Outgoing
from twintier.runtime.delivery.send_queue import SendQueue
from twintier.runtime.saving import Saving
from twintier.runtime.storage.journal import JournalRecord, Upload

SHORTEST_PAUSE_S = 0.05
"""Between two looks at what is due."""


class UploadSender:
    """The uploads of one process."""

    def __init__(
        self,
        src: str,
        outbox: Outbox,
        saving: Saving,
        clock: Clock,
        *,
        queue: SendQueue,
        large: LargeSender,
    ) -> None:
        """Put the parts together.

        Args:
            src: whose uploads these are, `plvn:p1`.
            outbox: with what the store remembers.
            saving: where it is kept that one is over; what is sent waits for it.
            clock: wall time.
            queue: of the control connection.
            large: sends a message, in chunks if it is large.
        """
        self._src = src
        self._outbox = outbox
        self._saving = saving
        self._clock = clock
        self._queue = queue
        self._large = large
        self._wake = asyncio.Event()

    def keep(
        self, outgoings: Iterable[Outgoing], incarnation: str, now: float
    ) -> list[JournalRecord]:
        """Send messages until they are confirmed; returns what is to be saved before."""
        uploads: list[Upload] = []
        for outgoing in outgoings:
            until = now + (LONGEST_S if outgoing.ttl_s is None else outgoing.ttl_s)
            place = (self._src, incarnation, outgoing.stream, outgoing.seq)
            uploads.append(Upload(*place, outgoing.topic, outgoing.payload, until))
        if not uploads:
            return []
        self._wake.set()
        return self._outbox.keep(uploads, now)

    def confirm(self, message: UploadsAcknowledged | MessageReturned) -> None:
        """Forget what its receiver has taken, or never will."""
        now, outbox = self._clock.now(), self._outbox
        if isinstance(message, UploadsAcknowledged):
            self._save([r for p in message.positions for r in outbox.confirm(p, now)])
        else:
            # A refusal ends this upload only; those around it are still on their way.
            self._save(outbox.refused(message.boot, message.stream, message.seq, now))
        self._wake.set()

    def on_up(self) -> None:
        """The bus is back."""
        self._wake.set()

    async def run(self) -> None:
        """Send again what is due, until cancelled."""
        while True:
            now = self._clock.now()
            self._save(self._outbox.expire(now))
            if len(self._queue) == 0:  # else it has not even gone out yet
                self._send_again(now)
            due_at = self._outbox.next_due()
            # With nothing due it sleeps until something is kept, confirmed, or the bus is back.
            pause_s = None if due_at is None else max(due_at - now, SHORTEST_PAUSE_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
            self._wake.clear()

    def _send_again(self, now: float) -> None:
        for upload in self._outbox.due(now):
            # Since it was encoded, uploads before it may have come to an end: without the present
            # low watermark its receiver would wait for them.
            low_watermark = self._outbox.low_watermark(upload.boot, upload.stream)
            outgoing = Outgoing(
                upload.topic,
                with_low_watermark(upload.payload, low_watermark),
                1,
                retain=False,
                ttl_s=upload.expires_at - now,
                stream=upload.stream,
                seq=upload.seq,
                guarantee="outbox",
                bulk=True,
            )
            self._saving.then(partial(self._large.post, outgoing))

    def _save(self, records: Sequence[JournalRecord]) -> None:
        if records:
            self._saving.add(records, self._wake.set)
