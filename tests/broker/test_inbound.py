from hypothesis import given
from hypothesis import strategies as st

from broker.inbound import JOINED_LATE, MAX_MISSING, Recent, SeenNumbers


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
