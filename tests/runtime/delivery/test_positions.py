"""Positions of streams that their senders name: bounded, each source for itself, nothing twice."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from twintier.protocol.envelope import Envelope
from twintier.runtime.delivery.positions import Positions
from twintier.runtime.storage.journal import Accepted
from twintier.runtime.storage.store import MemoryStore

PER_SOURCE, LIMIT = 4, 7


def envelope(src: str, boot: str, stream: str, seq: int = 1) -> Envelope:
    return Envelope(
        type="performance-reported.v1",
        id=bytes(16),
        src=src,
        boot=boot,
        stream=stream,
        seq=seq,
        ts_ns=0,
        floor=seq,
    )


class Receiver:
    """Takes uploads into a store, as a runtime does."""

    def __init__(self, per_source: int = PER_SOURCE, limit: int = LIMIT) -> None:
        self.per_source, self.limit = per_source, limit
        self.store = MemoryStore()
        self.restart()

    def restart(self) -> None:
        accepted = self.store.accepted(0.0)
        self.positions = Positions(accepted, per_source=self.per_source, limit=self.limit)

    def take(self, src: str, boot: str, stream: str, seq: int = 1, now: float = 1.0) -> str:
        sent = envelope(src, boot, stream, seq)
        verdict = self.positions.verdict(sent)
        if verdict == "next":
            record: Accepted = self.positions.record(sent, now)
            self.store.save([record])
            self.positions.advance(record)
        return verdict

    def held(self, src: str) -> list[tuple[str, str]]:
        return sorted((b, s) for a, b, s in self.store.accepted(0.0) if a == src)


def test_of_a_full_source_the_oldest_boot_goes_first_and_comes_back_as_nothing_new() -> None:
    receiver = Receiver()
    for boot in "abcd":
        assert receiver.take("plvn:p1", boot, "s") == "next"
    assert receiver.take("plvn:p1", "e", "s") == "next"
    assert receiver.held("plvn:p1") == [(boot, "s") for boot in "bcde"]
    assert len(receiver.positions) == PER_SOURCE
    assert receiver.take("plvn:p1", "a", "s") == "full"
    assert receiver.take("plvn:p1", "b", "s") == "repeated"
    receiver.restart()
    assert receiver.take("plvn:p1", "a", "s") == "full"
    assert receiver.take("plvn:p1", "b", "other") == "full"
    assert receiver.take("plvn:p1", "e", "s", 2) == "next"


def test_of_a_boot_the_stream_goes_that_was_quiet_for_longest() -> None:
    receiver = Receiver()
    for now, stream in enumerate("wxyz"):
        receiver.take("plvn:p1", "a", stream, now=float(now))
    receiver.take("plvn:p1", "a", "w", 2, now=9.0)
    receiver.restart()
    assert receiver.take("plvn:p1", "a", "new") == "next"
    assert receiver.held("plvn:p1") == [("a", "new"), ("a", "w"), ("a", "y"), ("a", "z")]


def test_no_source_loses_anything_to_another() -> None:
    receiver = Receiver()
    receiver.take("plvn:p1", "a", "s")
    receiver.take("plvn:p1", "a", "t")
    for number in range(100):
        receiver.take("plvn:bad", f"b{number:03}", f"s{number}")
        receiver.take(f"plvn:bad{number}", "b", "s")
    assert receiver.held("plvn:p1") == [("a", "s"), ("a", "t")]
    assert receiver.held("plvn:bad") == [(f"b{n:03}", f"s{n}") for n in range(97, 100)]
    assert len(receiver.store.accepted(0.0)) == len(receiver.positions) == LIMIT
    assert receiver.take("plvn:p1", "a", "s", 2) == "next"
    assert receiver.take("plvn:p1", "b", "s") == "next"  # after a restart, for its own past
    assert receiver.held("plvn:p1") == [("a", "s"), ("b", "s")]


def test_a_stream_without_a_place_is_told_that_nothing_was_taken() -> None:
    receiver = Receiver(limit=1)
    receiver.take("plvn:p1", "a", "s")
    assert receiver.take("plvn:p2", "a", "s") == "full"
    receiver.positions.owe(envelope("plvn:p2", "a", "s"))
    (owed,) = receiver.positions.owed()
    assert [(p.seq, p.again) for p in owed.positions] == [(0, False)]


SENT = st.tuples(
    st.sampled_from(["plvn:p1", "plvn:p2"]),
    st.sampled_from("abcdefgh"),
    st.sampled_from("xyz"),
    st.integers(1, 3),
)


@examples(300)
@given(st.lists(SENT | st.none(), max_size=120))
def test_whatever_comes_again_is_never_taken_twice(
    sent: list[tuple[str, str, str, int] | None],
) -> None:
    receiver, taken = Receiver(), Counter[tuple[str, str, str, int]]()
    for now, each in enumerate(sent):
        if each is None:
            receiver.restart()
        else:
            taken[each] += receiver.take(*each, now=float(now)) == "next"
        assert len(receiver.positions) <= LIMIT
    assert set(taken.values()) <= {0, 1}
