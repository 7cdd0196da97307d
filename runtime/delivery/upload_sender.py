"""Sends what is kept in the outbox again and again, until its receiver has acknowledged it.

Uploads are saved by whoever saves the effects that they are part of; here they are only planned
before, and sent afterwards. What is over is written down by itself: if that fails, it is found
again after a restart, and sent once more.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

import structlog

from twintier.broker.clock import Clock
from twintier.protocol.codec import with_low_watermark
from twintier.protocol.messages import MessageReturned, UploadsAcknowledged
from twintier.runtime.delivery.chunks import LONGEST_S
from twintier.runtime.delivery.large_messages import LargeSender
from twintier.runtime.delivery.meter import Meter
from twintier.runtime.delivery.outbox import Outbox
from twintier.runtime.delivery.outgoing import Outgoing
from twintier.runtime.delivery.send_queue import SendQueue
from twintier.runtime.storage.journal import JournalRecord, Upload
from twintier.runtime.storage.store import Store

log = structlog.get_logger()

SHORTEST_PAUSE_S = 0.05
"""Between two looks at what is due."""


class UploadSender:
    """The uploads of one process."""

    def __init__(
        self,
        src: str,
        outbox: Outbox,
        store: Store,
        clock: Clock,
        *,
        queue: SendQueue,
        large: LargeSender,
        meter: Meter,
    ) -> None:
        """Put the parts together.

        Args:
            src: whose uploads these are, `plvn:p1`.
            outbox: with what the store remembers.
            store: where uploads are kept.
            clock: wall time.
            queue: of the control connection.
            large: sends a message, in chunks if it is large.
            meter: counts what could not be saved.
        """
        self._src = src
        self._outbox = outbox
        self._store = store
        self._clock = clock
        self._queue = queue
        self._large = large
        self._meter = meter
        self._wake = asyncio.Event()

    def planned(
        self, outgoings: Iterable[Outgoing], incarnation: str, now: float
    ) -> list[JournalRecord]:
        """What of uploads is to be saved; then call `keep`, then send them."""
        uploads: list[Upload] = []
        for outgoing in outgoings:
            until = now + (LONGEST_S if outgoing.ttl_s is None else outgoing.ttl_s)
            place = (self._src, incarnation, outgoing.stream, outgoing.seq)
            uploads.append(Upload(*place, outgoing.topic, outgoing.payload, until))
        return self._outbox.planned(uploads)

    def keep(self, records: Sequence[JournalRecord], now: float) -> None:
        """The records of `planned` are saved: their messages are sent until they are confirmed."""
        if records:
            self._outbox.add(records, now)
            self._wake.set()

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
            self._large.post(
                Outgoing(
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
            )

    def _save(self, records: Sequence[JournalRecord]) -> None:
        if not records:
            return
        try:
            self._store.save(records)
        except Exception:  # whatever the store raises: what it forgets is only sent once more
            self._meter.counts.update(unsaved=1)
            log.exception("not saved", src=self._src, records=len(records))
