import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twintier.runtime.delivery.ledger import (
    MAX_ENDED,
    MAX_RANGES,
    Ledger,
    Messages,
    count_messages,
    lost_messages,
    read_ledger,
)
from twintier.runtime.delivery.ranges import Ranges

COUNTS = Messages(published=3, delivered=2, redelivered=1, refused=0, lost=0)


@given(numbers=st.lists(st.integers(1, 60)))
def test_ranges_hold_exactly_what_was_added(numbers: list[int]) -> None:
    ranges, seen = Ranges(), set[int]()
    for number in numbers:
        assert ranges.add(number) == (number not in seen)
        seen.add(number)
    held = [n for low, high in ranges.items() for n in range(low, high + 1)]
    assert held == sorted(seen)
    gaps = [b[0] - a[1] for a, b in zip(ranges.items(), ranges.items()[1:], strict=False)]
    assert all(gap > 1 for gap in gaps)


@pytest.mark.parametrize("ahead", [1, -1])
def test_numbers_with_gaps_cost_bounded_time_and_memory(ahead: int) -> None:
    ranges, start = Ranges(), time.process_time()
    numbers = range(2, 80_002, 2)[::ahead]
    for number in numbers:
        ranges.add(number)
    assert time.process_time() - start < 2.0
    assert len(ranges) == 1024
    assert ranges.given_up == (40_000 - 1024 if ahead > 0 else 1)


def test_the_highest_numbers_stay_and_what_was_given_up_is_not_new_again() -> None:
    ranges = Ranges(limit=2)
    assert [ranges.add(number) for number in (1, 3, 5, 1, 6, 4)] == [True] * 3 + [False, True, True]
    assert ranges.items() == ((3, 6),)
    assert ranges.given_up == 1


def test_what_a_sender_invents_costs_a_bounded_ledger_that_says_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("twintier.runtime.delivery.ledger.MAX_RANGES", 2000)
    ledger = receiver(1, 2, 3)
    for number in range(2010):
        ledger.received("plvn:p2", f"boot-{number}", "plvn/p2/up/perf/x", 1)
        if number % 1000 == 0:
            ledger.received("plvn:p1", "b1", "plvn/p1/up/perf/x", 3)
    written = ledger.written("edge:e1", "b2", 60.0, COUNTS, 0)
    assert len(written.received) == 2000
    assert written.forgotten == 11
    honest = [r for r in written.received if r.src == "plvn:p1"]
    assert [r.ranges for r in honest] == [((1, 3),)]


def test_gaps_in_many_streams_are_bounded_together() -> None:
    ledger = Ledger()
    for stream in range(80):
        for seq in range(2, 2050, 2):
            ledger.received("plvn:p2", "b2", f"plvn/p2/up/perf/x{stream}", seq)
    written = ledger.written("edge:e1", "b2", 60.0, COUNTS, 0)
    assert sum(len(r.ranges) for r in written.received) == MAX_RANGES
    assert written.forgotten == 80 * 1024 - MAX_RANGES


def test_filters_that_are_over_are_bounded_too() -> None:
    ledger = Ledger()
    for number in range(MAX_ENDED + 5):
        ledger.subscribed([f"plvn/p1/up/blob/{number}"], number)
        ledger.unsubscribed([f"plvn/p1/up/blob/{number}"], number + 1)
    written = ledger.written("edge:e1", "b2", 1e6, COUNTS, 0)
    assert (len(written.filters), written.forgotten) == (MAX_ENDED, 5)
    assert written.filters[0].topic_filter == "plvn/p1/up/blob/5"


def sender() -> Ledger:
    ledger = Ledger()
    for seq, at in enumerate((10.0, 20.0, 30.0), start=1):
        ledger.sent("plvn/p1/up/perf/x", seq, at, ttl_s=300.0)
    return ledger


def receiver(*seqs: int, since: float = 0.0, until: float = 50.0) -> Ledger:
    ledger = Ledger()
    ledger.subscribed(["plvn/+/up/perf/+"], since)
    for seq in seqs:
        ledger.received("plvn:p1", "b1", "plvn/p1/up/perf/x", seq)
    ledger.ended(until)
    return ledger


def lost(sent: Ledger, *receivers: Ledger, now: float = 60.0) -> list[int]:
    ledgers = [sent.written("plvn:p1", "b1", now, COUNTS, 0)]
    ledgers += [r.written(f"edge:e{i}", "b2", now, COUNTS, 0) for i, r in enumerate(receivers)]
    return [seq for _, _, _, seq in lost_messages(ledgers)]


def test_what_no_receiver_has_is_lost() -> None:
    assert lost(sender(), receiver(1, 2, 3)) == []
    assert lost(sender(), receiver(1, 3)) == [2]
    assert lost(sender(), receiver(1), receiver(3)) == [2]


def test_what_nobody_listened_to_is_not_lost() -> None:
    assert lost(sender()) == []
    assert lost(sender(), receiver(since=15.0)) == [2, 3]
    assert lost(sender(), receiver(until=25.0)) == [1, 2]


def test_what_has_expired_is_not_lost() -> None:
    assert lost(sender(), receiver(), now=315.0) == [2, 3]


def test_another_boot_does_not_stand_in() -> None:
    stranger = Ledger()
    stranger.subscribed(["plvn/#"], 0.0)
    stranger.received("plvn:p1", "other-boot", "plvn/p1/up/perf/x", 1)
    stranger.ended(50.0)
    assert lost(sender(), stranger) == [1, 2, 3]


def test_a_ledger_survives_its_file_and_totals_add_up(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "deep" / "written.json")
    ledger.subscribed(["cloud/status"], 1.0)
    ledger.sent("plvn/p1/up/perf/x", 1, 10.0, None)
    written = ledger.written("plvn:p1", "b1", 20.0, COUNTS, 4)
    ledger.write(written)
    assert read_ledger(tmp_path / "deep" / "written.json") == written
    assert count_messages([written, written]) == Messages(6, 4, 2, 0, 0)


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(ValueError, match="validation error"):
        read_ledger(tmp_path / "x.json")
