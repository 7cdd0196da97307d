from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.ledger import Ledger, Messages, Ranges, count_messages, lost_messages, read_page

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
    pages = [sent.page("plvn:p1", "b1", now, COUNTS, 0)]
    pages += [r.page(f"edge:e{i}", "b2", now, COUNTS, 0) for i, r in enumerate(receivers)]
    return [seq for _, _, _, seq in lost_messages(pages)]


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


def test_an_account_survives_its_file_and_totals_add_up(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "deep" / "page.json")
    ledger.subscribed(["cloud/status"], 1.0)
    ledger.sent("plvn/p1/up/perf/x", 1, 10.0, None)
    page = ledger.page("plvn:p1", "b1", 20.0, COUNTS, 4)
    ledger.write(page)
    assert read_page(tmp_path / "deep" / "page.json") == page
    assert count_messages([page, page]) == Messages(6, 4, 2, 0, 0)


def test_a_file_that_is_no_account_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(ValueError, match="validation error"):
        read_page(tmp_path / "x.json")
