"""What a process has sent and received, kept so small that a run of days fits, for counting losses.

A message is lost if a sender accepted it at QoS 1, it has not expired, some receiver listened to
its stream before it was sent, and no receiver has it. Retained messages and what was sent after
quiescence do not count.

Senders name their boots and streams, so what is kept of them is bounded: the oldest is given up and
counted as `forgotten`. Then more may look lost than is, never less.
"""

import json
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from twintier.protocol.topics import matches
from twintier.runtime.delivery.ranges import Ranges

HORIZON_S = 900.0
"""Messages older than this are no longer accounted for, one by one; the longest ttl is 600 s."""
MAX_RANGES = 65_536
"""Ranges of numbers that arrived, over all streams."""
MAX_ENDED = 4096
"""Filters that were in force once; each large message that comes in has one."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class SentStream(_Model):
    """Unexpired QoS 1 messages of one stream, as (seq, Unix seconds)."""

    stream: str
    sent: tuple[tuple[int, float], ...]


class ReceivedStream(_Model):
    """Sequence numbers of one stream of one sender that arrived, as inclusive ranges."""

    src: str
    boot: str
    stream: str
    ranges: tuple[tuple[int, int], ...]


class Listened(_Model):
    """A filter below `root/v1/`, and the Unix seconds between which it was in force."""

    topic_filter: str
    since: float
    until: float


class WrittenLedger(_Model):
    """One process's ledger, as it is written."""

    src: str
    boot: str
    published: int
    delivered: int
    redelivered: int
    refused: int
    dropped: int
    filters: tuple[Listened, ...]
    sent: tuple[SentStream, ...]
    received: tuple[ReceivedStream, ...]
    forgotten: int = 0
    """Ranges of numbers that arrived, and filters, that were too many to keep."""


@dataclass(frozen=True, slots=True)
class Messages:
    """Totals over all processes of a run."""

    published: int
    delivered: int
    redelivered: int
    refused: int
    lost: int


@dataclass(slots=True)
class _Sent:
    entries: deque[tuple[int, float, float]] = field(default_factory=deque)
    """(seq, sent at, expires at)."""


class Ledger:
    """Of one process, written when it ends."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._sent: dict[str, _Sent] = {}
        self._received: OrderedDict[tuple[str, str, str], Ranges] = OrderedDict()
        self._ranges = 0
        self._since: dict[str, float] = {}
        self._ended: deque[Listened] = deque(maxlen=MAX_ENDED)
        self._forgotten = 0

    def subscribed(self, filters: Sequence[str], now: float) -> None:
        """Filters, without the root, that are in force from now on."""
        for topic_filter in filters:
            self._since.setdefault(topic_filter, now)

    def unsubscribed(self, filters: Sequence[str], now: float) -> None:
        """Filters, without the root, that are no longer in force."""
        for topic_filter in filters:
            since = self._since.pop(topic_filter, None)
            if since is not None:
                self._forgotten += len(self._ended) == MAX_ENDED
                self._ended.append(Listened(topic_filter=topic_filter, since=since, until=now))

    def ended(self, now: float) -> None:
        """Nothing is received any more."""
        self.unsubscribed(list(self._since), now)

    def sent(self, stream: str, seq: int, now: float, ttl_s: float | None) -> None:
        """A QoS 1 message that is not retained was accepted for sending."""
        entries = self._sent.setdefault(stream, _Sent()).entries
        lifetime_s = HORIZON_S if ttl_s is None else min(ttl_s, HORIZON_S)
        entries.append((seq, now, now + lifetime_s))
        while entries[0][2] < now:
            entries.popleft()

    def received(self, src: str, boot: str, stream: str, seq: int) -> bool:
        """A QoS 1 message arrived; returns whether for the first time."""
        ranges = self._received.setdefault((src, boot, stream), Ranges())
        self._received.move_to_end((src, boot, stream))
        held, given_up = len(ranges), ranges.given_up
        new = ranges.add(seq)
        self._ranges += len(ranges) - held
        self._forgotten += ranges.given_up - given_up
        while self._ranges > MAX_RANGES:
            _, oldest = self._received.popitem(last=False)
            self._ranges -= len(oldest)
            self._forgotten += len(oldest)
        return new

    def written(
        self, src: str, boot: str, now: float, counts: Messages, dropped: int
    ) -> WrittenLedger:
        """The ledger at a time, as it is written."""
        return WrittenLedger(
            src=src,
            boot=boot,
            published=counts.published,
            delivered=counts.delivered,
            redelivered=counts.redelivered,
            refused=counts.refused,
            dropped=dropped,
            filters=(
                *self._ended,
                *(Listened(topic_filter=f, since=at, until=now) for f, at in self._since.items()),
            ),
            sent=tuple(
                SentStream(stream=s, sent=tuple((q, at) for q, at, end in e.entries if end > now))
                for s, e in self._sent.items()
            ),
            received=tuple(
                ReceivedStream(src=a, boot=b, stream=s, ranges=ranges.items())
                for (a, b, s), ranges in self._received.items()
            ),
            forgotten=self._forgotten,
        )

    def write(self, written: WrittenLedger) -> None:
        """Write the ledger to its file, whole or not at all; without a path, nothing."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".part")
        temporary.write_text(json.dumps(written.model_dump(mode="json")))
        temporary.replace(self.path)


def read_ledger(path: Path) -> WrittenLedger:
    """A ledger that a process wrote.

    Raises:
        OSError: if the file cannot be read.
        pydantic.ValidationError: if it is no ledger.
    """
    return WrittenLedger.model_validate_json(path.read_text())


def lost_messages(ledgers: Sequence[WrittenLedger]) -> list[tuple[str, str, str, int]]:
    """(src, boot, stream, seq) of every lost message."""
    received: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for ledger in ledgers:
        for entry in ledger.received:
            received.setdefault((entry.src, entry.boot, entry.stream), []).extend(entry.ranges)
    lost: list[tuple[str, str, str, int]] = []
    for ledger in ledgers:
        for stream in ledger.sent:
            ranges = received.get((ledger.src, ledger.boot, stream.stream), [])
            heard = _heard(stream.stream, ledgers)
            lost += [
                (ledger.src, ledger.boot, stream.stream, seq)
                for seq, sent_at in stream.sent
                if any(listened.since <= sent_at <= listened.until for listened in heard)
                and not any(low <= seq <= high for low, high in ranges)
            ]
    return lost


def count_messages(ledgers: Sequence[WrittenLedger]) -> Messages:
    """Totals of a run from the ledgers of all its processes."""
    return Messages(
        published=sum(ledger.published for ledger in ledgers),
        delivered=sum(ledger.delivered for ledger in ledgers),
        redelivered=sum(ledger.redelivered for ledger in ledgers),
        refused=sum(ledger.refused for ledger in ledgers),
        lost=len(lost_messages(ledgers)),
    )


def _heard(stream: str, ledgers: Sequence[WrittenLedger]) -> list[Listened]:
    """Who listened to the stream, and when."""
    return [f for ledger in ledgers for f in ledger.filters if matches(f.topic_filter, stream)]
