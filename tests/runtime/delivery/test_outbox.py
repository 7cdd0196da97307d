"""A sender's outbox and a receiver's positions, without a bus between them."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twintier.protocol.envelope import Envelope
from twintier.protocol.messages import StreamPosition
from twintier.runtime.delivery.outbox import Outbox, OutboxSettings
from twintier.runtime.delivery.positions import Positions
from twintier.runtime.storage.journal import Accepted, JournalRecord, Settled, Upload

SRC, BOOT, STREAM = "plvn:p1", "b1", "plvn/p1/up/perf/m"


def upload(seq: int, *, expires_at: float = 100.0, stream: str = STREAM) -> Upload:
    return Upload(SRC, BOOT, stream, seq, f"twintier/v1/{stream}", b"x" * 10, expires_at)


def position(seq: int, *, again: bool = False) -> StreamPosition:
    return StreamPosition(boot=BOOT, stream=STREAM, seq=seq, again=again)


def envelope(seq: int, floor: int, boot: str = BOOT) -> Envelope:
    return Envelope(
        type="performance-reported.v1",
        id=bytes(16),
        src=SRC,
        boot=boot,
        stream=STREAM,
        seq=seq,
        ts_ns=0,
        floor=floor,
    )


def box(count: int, **settings: object) -> Outbox:
    outbox = Outbox(SRC, (), OutboxSettings(seed=1, **settings))  # type: ignore[arg-type]
    for seq in range(1, count + 1):
        add(outbox, upload(seq))
    return outbox


def add(outbox: Outbox, *uploads: Upload) -> list[JournalRecord]:
    return outbox.keep(uploads, 0.0)


def test_what_is_acknowledged_is_forgotten_and_raises_the_floor() -> None:
    outbox = box(5)
    assert outbox.low_watermark(BOOT, STREAM) == 1
    assert outbox.confirm(position(3), 1.0) == [Settled(SRC, BOOT, STREAM, 1, 3)]
    assert (len(outbox), outbox.low_watermark(BOOT, STREAM)) == (2, 4)
    assert outbox.confirm(position(3), 1.0) == []
    assert outbox.confirm(position(99), 1.0) == [Settled(SRC, BOOT, STREAM, 4, 5)]
    assert (len(outbox), outbox.low_watermark(BOOT, STREAM), outbox.next_due()) == (0, 6, None)


def test_silence_doubles_the_pause_and_an_acknowledgement_ends_that() -> None:
    outbox = box(2, pause_s=(1.0, 3.0), burst=2)
    assert outbox.due(0.5) == []
    times, now = [], 0.0
    for expected in ([upload(1), upload(2)], [upload(1)], [upload(1)], [upload(1)]):
        due = outbox.next_due()
        assert due is not None
        times.append(due - now)
        now = due
        assert outbox.due(now) == expected
    assert all(
        0.75 * pause <= time <= 1.25 * pause
        for time, pause in zip(times, (1, 2, 3, 3), strict=True)
    )
    outbox.confirm(position(1), now)
    due = outbox.next_due()
    assert due is not None
    assert due - now == pytest.approx(0.1), "the second was held back"
    assert outbox.due(due) == [upload(2)]
    assert outbox.counts["uploads_again"] == 6


def test_a_receiver_that_misses_something_is_sent_it_at_once_but_not_in_a_storm() -> None:
    outbox = box(2)
    outbox.confirm(position(0, again=True), 0.05)
    assert outbox.due(0.05) == []
    assert outbox.due(0.1) == [upload(1), upload(2)]
    outbox.confirm(position(0, again=True), 0.11)
    assert outbox.due(0.15) == []


@pytest.mark.parametrize("asks", [False, True])
def test_while_a_receiver_takes_nothing_hardly_anything_is_sent_again(*, asks: bool) -> None:
    """One upload a second for ten minutes; then the receiver takes them, in order, all at once."""
    outbox, positions, taken = Outbox(SRC, (), OutboxSettings(seed=1)), Positions({}), []
    again = {"away": 0, "back": 0}
    for tick in range(6200):
        now = tick / 10
        sent = outbox.due(now)
        again["away" if now < 600 else "back"] += len(sent)
        if tick % 10 == 0:
            sent.append(upload(tick // 10 + 1, expires_at=1e9))
            outbox.keep(sent[-1:], now)
        for each in sent:
            found = envelope(each.seq, outbox.low_watermark(BOOT, STREAM))
            verdict = positions.verdict(found)
            if verdict == "next" and now < 600:
                positions.defer(found)
                continue
            if verdict == "next":
                taken.append(each.seq)
                positions.advance(positions.record(found, now))
            positions.owe(found, again=verdict == "ahead")
        for owed in positions.owed():
            for at in owed.positions:
                outbox.confirm(at.model_copy(update={"again": at.again or asks}), now)
    assert again["away"] < 600 / 6
    assert taken == list(range(1, 621))
    assert again["back"] < 2 * 620
    assert len(outbox) == 0


def test_a_full_outbox_costs_the_oldest_and_says_so() -> None:
    outbox = Outbox(SRC, (), OutboxSettings(limit=2))
    add(outbox, upload(1), upload(2))
    assert add(outbox, upload(3)) == [upload(3), Settled(SRC, BOOT, STREAM, 1, 1)]
    assert (outbox.low_watermark(BOOT, STREAM), outbox.counts["uploads_dropped"]) == (2, 1)
    small = Outbox(SRC, (), OutboxSettings(limit_bytes=25))
    for seq in (1, 2, 3):
        add(small, upload(seq))
    assert (len(small), small.counts["uploads_dropped"]) == (2, 1)


def test_what_goes_first_is_the_first_to_expire_among_the_oldest_of_each_stream() -> None:
    outbox = Outbox(SRC, (), OutboxSettings(limit=3))
    add(outbox, upload(1, expires_at=9.0), upload(2, expires_at=1.0))
    add(outbox, upload(1, expires_at=5.0, stream="other"))
    new = upload(1, expires_at=3.0, stream="new"), upload(2, expires_at=99.0, stream="new")
    gone = [Settled(SRC, BOOT, "new", 1, 1), Settled(SRC, BOOT, "other", 1, 1)]
    assert add(outbox, *new) == [*new, *gone]
    assert (len(outbox), outbox.counts["uploads_dropped"]) == (3, 2)
    assert (outbox.low_watermark(BOOT, "new"), outbox.low_watermark(BOOT, STREAM)) == (2, 1)


def test_what_makes_room_is_over_once_what_came_for_it_is_durable() -> None:
    outbox = Outbox(SRC, (), OutboxSettings(limit=1))
    assert outbox.keep([upload(1)], 0.0) == [upload(1)]
    assert outbox.keep([upload(2)], 0.0) == [upload(2), Settled(SRC, BOOT, STREAM, 1, 1)]
    assert (len(outbox), outbox.low_watermark(BOOT, STREAM)) == (1, 2)
    assert outbox.counts["uploads_dropped"] == 1


def test_expired_and_refused_uploads_are_counted_apart() -> None:
    outbox = Outbox(SRC, (), OutboxSettings())
    add(outbox, upload(1, expires_at=5.0), upload(2), upload(3))
    assert outbox.refused(BOOT, STREAM, 3, 0.0) == [Settled(SRC, BOOT, STREAM, 3, 3)]
    assert outbox.refused(BOOT, STREAM, 3, 0.0) == []
    assert outbox.expire(5.0) == [Settled(SRC, BOOT, STREAM, 1, 1)]
    assert outbox.counts == {"uploads_returned": 1, "uploads_expired": 1}
    assert outbox.low_watermark(BOOT, STREAM) == 2


def test_uploads_of_an_earlier_boot_are_sent_at_once() -> None:
    outbox = Outbox(SRC, [upload(7), upload(8)], OutboxSettings())
    assert outbox.due(0.0) == [upload(7), upload(8)]
    assert outbox.low_watermark(BOOT, STREAM) == 7


def test_a_receiver_takes_the_next_number_or_the_floor_and_nothing_else() -> None:
    positions = Positions({})
    assert positions.verdict(envelope(2, floor=1)) == "ahead"
    assert positions.verdict(envelope(57, floor=57)) == "next"
    positions.advance(positions.record(envelope(57, floor=57), 1.0))
    assert positions.verdict(envelope(57, floor=57)) == "repeated"
    assert positions.verdict(envelope(59, floor=57)) == "ahead"
    assert positions.verdict(envelope(58, floor=50)) == "next"
    assert positions.verdict(envelope(60, floor=60)) == "next"
    assert positions.verdict(envelope(1, floor=1, boot="b2")) == "next"


def test_acknowledgements_are_cumulative_and_owed_once() -> None:
    positions = Positions({(SRC, BOOT, STREAM): 4})
    positions.owe(envelope(4, floor=4))
    positions.owe(envelope(9, floor=5), again=True)
    (owed,) = positions.owed()
    assert (owed.src, owed.positions) == (SRC, (position(4, again=True),))
    assert positions.owed() == []


def test_a_position_is_durable_together_with_its_effect() -> None:
    record = Positions({}).record(envelope(3, floor=3), 9.0)
    assert record == Accepted(SRC, BOOT, STREAM, 3, 9.0)


class Link:
    """Loses, doubles and reorders what goes between an outbox and positions."""

    def __init__(self, seed: int, refused: set[int]) -> None:
        self.chance = random.Random(seed)
        self.outbox = Outbox(SRC, (), OutboxSettings(seed=1))
        self.positions = Positions({})
        self.refused = refused
        self.under_way: list[tuple[int, int]] = []
        self.taken: list[int] = []

    def send(self, uploads: list[Upload]) -> None:
        self.under_way += [(u.seq, self.outbox.low_watermark(BOOT, STREAM)) for u in uploads]

    def deliver(self, now: float) -> None:
        self.chance.shuffle(self.under_way)
        half = len(self.under_way) // 2 + 1
        arrived, self.under_way = self.under_way[:half], self.under_way[half:]
        for seq, floor in arrived:
            if self.chance.random() < 0.7:
                self.arrive(seq, floor, now)
        for owed in self.positions.owed():
            if self.chance.random() < 0.7:
                for each in owed.positions:
                    self.outbox.confirm(each, now)

    def arrive(self, seq: int, floor: int, now: float) -> None:
        if seq in self.refused:
            self.outbox.refused(BOOT, STREAM, seq, now)
            return
        found = envelope(seq, floor)
        verdict = self.positions.verdict(found)
        if verdict == "next":
            self.taken.append(seq)
            self.positions.advance(self.positions.record(found, now))
        self.positions.owe(found, again=verdict == "ahead")


@given(seed=st.integers(0, 2**32), count=st.integers(1, 30), refusing=st.booleans())
def test_whatever_is_lost_doubled_or_reordered_each_upload_is_taken_once_in_order(
    seed: int,
    count: int,
    refusing: bool,  # noqa: FBT001  # drawn
) -> None:
    refused = {count // 2} if refusing else set()
    link, now = Link(seed, refused), 0.0
    for seq in range(1, count + 1):
        one = upload(seq, expires_at=1e9)
        link.outbox.keep([one], now)
        link.send([one])
    for _ in range(10_000):
        if not len(link.outbox):
            break
        now += 0.5
        link.send(link.outbox.due(now))
        link.deliver(now)
    assert link.taken == [seq for seq in range(1, count + 1) if seq not in refused]
