"""A sender's side of guarantee `outbox`: what it accepted is kept, and sent until acknowledged.

Acknowledgements are cumulative. What a receiver misses is sent again from there on, in order, after
a pause that doubles and is jittered. While it takes nothing, ever fewer are sent again, in the end
only the oldest, however often it asks; once it takes something, twice as many each time. Bounded:
when it is full the oldest goes, and is counted.
No I/O: what must be durable is returned as records.
"""

import random
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from twintier.protocol.messages import StreamPosition
from twintier.runtime.delivery.states import UPLOAD_STREAM, UploadEvent, UploadState
from twintier.runtime.storage.journal import JournalRecord, Settled, Upload

MAX_FRUITLESS = 3
"""Times that a receiver is sent at once what it asks for; then it takes nothing for now."""


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """How much is kept and how often it is sent again."""

    limit: int = 20_000
    """Messages."""
    limit_bytes: int = 128 * 1024 * 1024
    pause_s: tuple[float, float] = (1.0, 8.0)
    """First and longest pause before what is not acknowledged is sent again."""
    shortest_s: float = 0.1
    """Between two times, however often the receiver asks."""
    burst: int = 256
    """Messages of a stream that are sent again at a time, at most."""
    seed: int | None = None
    """Of the jitter; none draws one."""


@dataclass(slots=True)
class _Stream:
    gone: int = 0
    """Everything up to this number is acknowledged, expired or given up."""
    last: int = 0
    """The newest number."""
    uploads: OrderedDict[int, Upload] = field(default_factory=OrderedDict)
    state: UploadState = UploadState.EMPTY
    sent_at: float = 0.0
    due_at: float = 0.0
    pause_s: float = 0.0
    window: int = 1
    """How many are sent again at a time."""
    fruitless: int = 0
    """How often they were sent again since the receiver has taken something."""
    behind: bool = False
    """Whether more is kept than was sent again."""

    def on(self, event: UploadEvent) -> None:
        """Something has happened."""
        self.state = UPLOAD_STREAM.after(self.state, event)


class Outbox:
    """Uploads of one source, over all boots of which some are left."""

    def __init__(
        self, src: str, uploads: Iterable[Upload], settings: OutboxSettings | None = None
    ) -> None:
        self._src = src
        self._settings = settings or OutboxSettings()
        self._random = random.Random(self._settings.seed)
        self._streams: dict[tuple[str, str], _Stream] = {}
        self._bytes = 0
        self.counts: Counter[str] = Counter()
        for upload in uploads:
            self._keep(upload)

    def __len__(self) -> int:
        return sum(len(stream.uploads) for stream in self._streams.values())

    def low_watermark(self, boot: str, stream: str) -> int:
        """The smallest number of a stream that may still come."""
        found = self._streams.get((boot, stream))
        return 1 if found is None else found.gone + 1

    def keep(self, uploads: Sequence[Upload], now: float) -> list[JournalRecord]:
        """Keep what is about to be sent; returns what must be durable before it is.

        At the limit the oldest of all goes.
        """
        for upload in uploads:
            stream = self._keep(upload)
            if len(stream.uploads) == 1:
                self._begin(stream)
                self._wait(stream, now)
        return [*uploads, *self._make_room()]

    def confirm(self, position: StreamPosition, now: float) -> list[JournalRecord]:
        """The receiver has everything up to a number; and asks for the rest, if it says so."""
        stream = self._streams.get((position.boot, position.stream))
        if stream is None:
            return []
        records = self._drop(stream, position, min(position.seq, stream.last))
        if records:
            self._go_on(stream, now)
        if position.again and stream.fruitless < MAX_FRUITLESS:
            self._hasten(stream)
        return records

    def refused(self, boot: str, stream_name: str, seq: int, now: float) -> list[JournalRecord]:
        """The receiver will never take this one."""
        stream = self._streams.get((boot, stream_name))
        upload = None if stream is None else stream.uploads.pop(seq, None)
        if stream is None or upload is None:
            return []
        self._bytes -= len(upload.payload)
        self.counts["uploads_returned"] += 1
        self._advance(stream)
        self._go_on(stream, now)
        return [Settled(self._src, boot, stream_name, seq, seq)]

    def expire(self, now: float) -> list[JournalRecord]:
        """Give up what nobody needs any more."""
        records: list[JournalRecord] = []
        for stream in list(self._streams.values()):
            while stream.uploads and (first := _oldest(stream)).expires_at <= now:
                records += self._give_up(stream, first, "uploads_expired")
        return records

    def due(self, now: float) -> list[Upload]:
        """What is to be sent again now, oldest first."""
        found: list[Upload] = []
        for stream in self._streams.values():
            if stream.state is UploadState.EMPTY or stream.due_at > now:
                continue
            stream.on(UploadEvent.SENT_AGAIN)
            if stream.fruitless:
                stream.window = max(1, stream.window // 4)
            found += islice(stream.uploads.values(), stream.window)
            stream.fruitless += 1
            stream.behind = stream.window < len(stream.uploads)
            stream.pause_s = min(2 * stream.pause_s, self._settings.pause_s[1])
            self._wait(stream, now)
        self.counts["uploads_again"] += len(found)
        return found

    def next_due(self) -> float | None:
        """When something is to be sent again; None if nothing is kept."""
        kept = (s for s in self._streams.values() if s.state is not UploadState.EMPTY)
        return min((stream.due_at for stream in kept), default=None)

    def _keep(self, upload: Upload) -> _Stream:
        key = (upload.boot, upload.stream)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _Stream(gone=upload.seq - 1)
            self._begin(stream)
        stream.uploads[upload.seq] = upload
        stream.last = upload.seq
        stream.on(UploadEvent.KEPT)
        self._bytes += len(upload.payload)
        return stream

    def _drop(self, stream: _Stream, position: StreamPosition, last: int) -> list[JournalRecord]:
        settled = [seq for seq in stream.uploads if seq <= last]
        for seq in settled:
            self._bytes -= len(stream.uploads.pop(seq).payload)
        self._advance(stream)
        stream.gone = max(stream.gone, last)
        if not settled:
            return []
        return [Settled(self._src, position.boot, position.stream, settled[0], last)]

    def _make_room(self) -> Iterator[JournalRecord]:
        """Give up what is too much; of the oldest of each stream, the first to expire."""
        settings = self._settings
        while len(self) > settings.limit or self._bytes > settings.limit_bytes:
            kept = (stream for stream in self._streams.values() if stream.uploads)
            stream = min(kept, key=lambda each: _oldest(each).expires_at)
            yield from self._give_up(stream, _oldest(stream), "uploads_dropped")

    def _give_up(self, stream: _Stream, upload: Upload, count: str) -> Sequence[JournalRecord]:
        del stream.uploads[upload.seq]
        self._bytes -= len(upload.payload)
        self._advance(stream)
        self.counts[count] += 1
        return [_settled(upload)]

    def _begin(self, stream: _Stream) -> None:
        """Nothing is known of the receiver."""
        stream.pause_s, stream.window = self._settings.pause_s[0], self._settings.burst
        stream.fruitless, stream.behind = 0, False

    def _go_on(self, stream: _Stream, now: float) -> None:
        """The receiver takes something: it is sent more at a time, and soon if more is kept."""
        stream.pause_s, stream.fruitless = self._settings.pause_s[0], 0
        stream.window = min(2 * stream.window, self._settings.burst)
        self._wait(stream, now)
        if stream.behind:
            self._hasten(stream)

    def _hasten(self, stream: _Stream) -> None:
        if stream.state is not UploadState.EMPTY:
            stream.on(UploadEvent.ASKED)
            stream.due_at = min(stream.due_at, stream.sent_at + self._settings.shortest_s)

    def _wait(self, stream: _Stream, now: float) -> None:
        stream.sent_at = now
        stream.due_at = now + stream.pause_s * self._random.uniform(0.75, 1.25)

    @staticmethod
    def _advance(stream: _Stream) -> None:
        """What is kept no more cannot come; numbers in between went the same way."""
        stream.on(UploadEvent.SOME_OVER if stream.uploads else UploadEvent.ALL_OVER)
        stream.gone = next(iter(stream.uploads)) - 1 if stream.uploads else stream.last


def _settled(upload: Upload) -> Settled:
    return Settled(upload.src, upload.boot, upload.stream, upload.seq, upload.seq)


def _oldest(stream: _Stream) -> Upload:
    return next(iter(stream.uploads.values()))
