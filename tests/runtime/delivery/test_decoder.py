import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twintier.broker.clock import WallClock
from twintier.protocol.envelope import Envelope
from twintier.runtime.delivery.decoder import Decoder
from twintier.runtime.delivery.seen import JOINED_LATE, MAX_MISSING, Recent, SeenNumbers


@given(st.lists(st.integers(1, 100)))
def test_each_number_is_new_exactly_once_in_any_order(numbers: list[int]) -> None:
    seen, before = SeenNumbers(), set[int]()
    for number in numbers:
        assert seen.add(number) == (number not in before)
        before.add(number)


def test_one_who_joins_late_takes_a_little_of_what_was_overtaken() -> None:
    seen = SeenNumbers()
    assert seen.add(5000)
    assert seen.add(5000 - JOINED_LATE)
    assert not seen.add(5000 - JOINED_LATE - 1)


def test_what_is_missing_is_bounded_and_the_oldest_is_given_up() -> None:
    seen = SeenNumbers()
    for number in range(1, 10_000, 2):
        assert seen.add(number)
    assert not seen.add(2)
    assert seen.add(9998)
    assert not seen.add(9998)
    assert len(seen._missing) <= MAX_MISSING


def test_a_jump_ahead_costs_bounded_time_and_memory() -> None:
    seen = SeenNumbers()
    assert seen.add(1)
    assert seen.add(2**62)
    assert len(seen._missing) <= MAX_MISSING
    assert seen.add(2**62 - 1)


def test_a_full_mapping_forgets_what_was_not_used_for_longest() -> None:
    recent: Recent[str, int] = Recent(2)
    assert recent.get("a", lambda: 1) == 1
    assert recent.get("b", lambda: 2) == 2
    assert recent.get("a", lambda: 9) == 1
    assert recent.get("c", lambda: 3) == 3
    assert recent.get("b", lambda: 8) == 8


def sent(seq: int, at: float, type_name: str = "performance-reported.v1") -> Envelope:
    """A message that is void after 10 s, sent at a time of its sender's clock."""
    return Envelope(
        type=type_name,
        id=bytes(16),
        src="plvn:p1",
        boot="b1",
        stream="plvn/p1/up/perf/x",
        seq=seq,
        ts_ns=int(at * 1e9),
        ttl_ms=10_000,
    )


def due(decoder: Decoder, seq: int, at: float, now: float) -> bool:
    return decoder.is_due(sent(seq, at), now, retain=False)


def test_the_first_message_of_a_sender_is_never_too_old() -> None:
    assert due(Decoder("twintier"), 1, at=5.0, now=1e9)
    assert due(Decoder("twintier"), 1, at=1e9, now=5.0)


def test_what_came_late_is_too_old_after_a_silence_as_well() -> None:
    decoder = Decoder("twintier")
    assert due(decoder, 1, at=1000.0, now=1000.0)
    for seq in range(2, 50):  # what waited in a broker for ten minutes comes at once
        assert not due(decoder, seq, at=1000.0 + seq, now=1600.0 + seq / 100)
    assert due(decoder, 50, at=1600.0, now=1601.0)
    assert decoder.expired == 48


def test_a_sender_whose_clock_has_slept_is_heard_again_after_a_minute() -> None:
    decoder = Decoder("twintier")
    for second in range(200):
        assert due(decoder, 1 + second, at=1000.0 + second, now=1000.0 + second)
    heard = [due(decoder, 201 + s, at=1200.0 + s, now=1800.0 + s) for s in range(300)]
    assert heard == [False] * 60 + [True] * 240
    assert decoder.offsets_s(1) == {"plvn:p1": 600.0}


def test_a_sender_that_speaks_seldom_loses_one_message_to_a_clock_that_has_slept() -> None:
    decoder = Decoder("twintier")
    assert due(decoder, 1, at=1000.0, now=1000.0)
    heard = [due(decoder, 2 + n, at=1300.0 + 300 * n, now=1900.0 + 300 * n) for n in range(4)]
    assert heard == [False, True, True, True]


def test_one_message_whose_time_is_an_hour_ahead_costs_no_other() -> None:
    decoder = Decoder("twintier")
    assert due(decoder, 1, at=1000.0, now=1000.0)
    assert due(decoder, 2, at=4601.0, now=1001.0)
    assert all(due(decoder, 3 + n, at=1002.0 + n, now=1002.0 + n) for n in range(120))
    assert decoder.expired == 0


def test_a_clock_that_was_set_an_hour_ahead_is_believed_from_the_second_message_on() -> None:
    decoder = Decoder("twintier")
    assert due(decoder, 1, at=1000.0, now=1000.0)
    for n in range(3):
        assert due(decoder, 2 + n, at=4601.0 + n, now=1001.0 + n)
    assert decoder.offsets_s(1) == {"plvn:p1": -3600.0}
    assert not due(decoder, 5, at=4604.0, now=1015.0)


def test_a_cumulative_acknowledgement_is_good_however_old() -> None:
    decoder = Decoder("twintier")
    assert due(decoder, 1, at=1000.0, now=1000.0)
    late = sent(2, 1000.0, "uploads-acknowledged.v1")
    assert decoder.is_due(late, 1050.0, retain=False)
    assert not decoder.is_due(late, 1050.0, retain=False)
    assert not due(decoder, 3, at=1000.0, now=1050.0)
    assert (decoder.expired, decoder.redelivered) == (1, 1)


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="the system counts no sleep")
def test_the_wall_clock_goes_on_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    booted = [50.0]
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.0)
    monkeypatch.setattr(time, "monotonic", lambda: 50.0)
    monkeypatch.setattr(time, "clock_gettime", lambda _clock: booted[0])
    clock = WallClock()
    assert clock.now() == 1_700_000_000.0
    booted[0] += 600.0
    assert clock.now() == 1_700_000_600.0
