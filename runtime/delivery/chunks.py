"""Messages above the chunk size: kept by the sender, asked for chunk by chunk. No I/O.

The claim check that travels on the topic names the digest of the whole. A receiver asks for the
chunks that it lacks, again after a silence, so a broken connection costs what was under way and no
more.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from twintier.broker.bus import Delivery
from twintier.protocol.codec import Announced
from twintier.protocol.envelope import BlobRef
from twintier.protocol.messages import ChunkSent, ChunksRequested
from twintier.protocol.tensors import blob_digest
from twintier.runtime.delivery.positions import key_of
from twintier.runtime.delivery.states import LARGE_MESSAGE, LargeEvent, LargeState
from twintier.runtime.storage.journal import StreamKey

LONGEST_S = 600.0
"""How long a large message is kept by its sender, and waited for by a receiver, at most."""


class KeptMessages:
    """Large messages that peers may ask for, bounded; the oldest go first."""

    def __init__(self, limit_bytes: int = 256 * 1024 * 1024) -> None:
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[str, tuple[bytes, int, float]] = OrderedDict()
        self._bytes = 0

    def keep(self, payload: bytes, blob: BlobRef, until: float) -> None:
        """Keep a message; the same one again is only kept longer."""
        old = self._kept.pop(blob.digest, None)
        self._bytes += 0 if old is not None else len(payload)
        self._kept[blob.digest] = payload, blob.chunk_size, until
        while self._bytes > self._limit_bytes and len(self._kept) > 1:
            self._forget(next(iter(self._kept)))

    def chunks(self, request: ChunksRequested, now: float) -> list[ChunkSent]:
        """The chunks asked for; one that says `gone` if the message is not kept."""
        for digest in [d for d, (_, _, until) in self._kept.items() if until <= now]:
            self._forget(digest)
        found = self._kept.get(request.digest)
        if found is None:
            return [ChunkSent(index=request.first, state="gone", data=b"")]
        payload, size, _ = found
        last = min(request.first + request.count, -(-len(payload) // size))
        return [
            ChunkSent(index=i, state="here", data=payload[i * size : (i + 1) * size])
            for i in range(request.first, last)
        ]

    def _forget(self, digest: str) -> None:
        payload, _, _ = self._kept.pop(digest)
        self._bytes -= len(payload)


@dataclass(slots=True)
class Assembly:
    """A large message on its way in."""

    announced: Announced
    delivery: Delivery
    until: float
    """When it is given up."""
    window: int = 16
    """Chunks that are asked for at a time."""
    chunks: dict[int, bytes] = field(default_factory=dict)
    asked: int = 0
    """Chunks below this index have been asked for."""
    held: deque[Delivery] = field(default_factory=deque)
    """Deliveries of the same stream that came after it."""
    retry_at: float = 0.0
    """When what is missing is asked for again."""
    silences: int = 0
    """How often that has happened since the last new chunk."""
    state: LargeState = LargeState.ANNOUNCED

    def on(self, event: LargeEvent) -> None:
        """Something has happened."""
        self.state = LARGE_MESSAGE.after(self.state, event)

    @property
    def src(self) -> str:
        """Whose it is."""
        return self.announced.envelope.src

    @property
    def stream(self) -> StreamKey:
        """The stream that waits for it."""
        return key_of(self.announced.envelope)

    @property
    def blob(self) -> BlobRef:
        """What it is made of."""
        return self.announced.blob

    def requests(self) -> list[ChunksRequested]:
        """What to ask for next: another window, once half of the present one is here."""
        waiting = self.asked - len(self.chunks)
        if self.asked >= self.blob.chunks or waiting > self.window // 2:
            return []
        count = min(self.window - waiting, self.blob.chunks - self.asked)
        first, self.asked = self.asked, self.asked + count
        return [ChunksRequested(digest=self.blob.digest, first=first, count=count)]

    def missing(self) -> list[ChunksRequested]:
        """After a silence: what was asked for and did not come, at most a window of it."""
        lacking = [i for i in range(self.asked) if i not in self.chunks][: self.window]
        return [
            ChunksRequested(digest=self.blob.digest, first=run[0], count=len(run))
            for run in _runs(lacking)
        ]

    def add(self, chunk: ChunkSent) -> bool:
        """Take a chunk; returns whether it is new and fits."""
        index, blob = chunk.index, self.blob
        if index in self.chunks or index >= blob.chunks:
            return False
        last = index == blob.chunks - 1
        expected = blob.size - index * blob.chunk_size if last else blob.chunk_size
        if len(chunk.data) != expected:
            return False
        self.chunks[index] = chunk.data
        self.silences = 0
        whole = len(self.chunks) == blob.chunks
        self.on(LargeEvent.LAST_CHUNK if whole else LargeEvent.CHUNK)
        return True

    def payload(self) -> bytes | None:
        """The whole message; None if it does not have the digest that was announced."""
        whole = b"".join(self.chunks[index] for index in range(self.blob.chunks))
        return whole if blob_digest(whole) == self.blob.digest else None


def _runs(indices: Sequence[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for index in indices:
        if runs and runs[-1][-1] == index - 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return runs
