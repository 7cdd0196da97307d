"""Whether a message goes on where its sender's last one ended. No I/O.

A message that jumps in slots or simulated time costs only itself: it is refused, and what comes
after it is held against the one before. Where the next one goes on from the jump, it was none: a
source that was away, or began anew. What is older than the newest is stale and does nothing.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal

LAST_S = 1e9
"""No clock and no slot goes further (32 years): a number above is a fault of its sender."""
FORMER = 8
"""Processes of a PLVN that are remembered, so that what they sent late begins nothing anew."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a message stands."""

    boot: str
    """Process of its sender."""
    seq: int
    slot_s: float
    """Beginning of its first slot, seconds of slots."""
    sim_time_s: float

    def follows(self, other: "Position", limit_s: float) -> bool:
        """Whether it lies after another one, by no more than the limit."""
        return 0.0 <= self.slot_s - other.slot_s <= limit_s and (
            0.0 <= self.sim_time_s - other.sim_time_s <= limit_s
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a message is: the next, the first of a new epoch, an old one, or one that jumps."""

    kind: Literal["next", "epoch", "stale", "jump"]
    reason: str = ""
    """For the sender of one that jumps: value, limit and next step."""


@dataclass(slots=True)
class Course:
    """The way of one kind of messages of one PLVN."""

    limit_s: float
    newest: Position | None = None
    suspect: Position | None = None
    """The last one that jumped."""
    former: list[str] = field(default_factory=list)

    def take(self, position: Position) -> Judgement:
        """Judge a message, and go on from it if it is taken."""
        if max(position.slot_s, position.sim_time_s) > LAST_S:
            return Judgement("jump", f"{_told(position)} is above the limit of {LAST_S:.0f} s")
        newest = self.newest
        if newest is None or position.follows(newest, self.limit_s):
            if newest is not None and self._is_older(position, newest):
                return Judgement("stale")
            return self._go_on(position, "next")
        if self._is_older(position, newest):
            return Judgement("stale")
        anew = position.boot != newest.boot
        before = self.suspect
        agreed = before is not None and before.boot == position.boot
        if anew or (before is not None and agreed and position.follows(before, self.limit_s)):
            behind = position.slot_s < newest.slot_s or position.sim_time_s < newest.sim_time_s
            return self._go_on(position, "epoch" if behind else "next")
        self.suspect = position
        return Judgement(
            "jump",
            f"{_told(position)} does not follow {_told(newest)} within {self.limit_s:.0f} s; "
            "what goes on from it is taken",
        )

    def _is_older(self, position: Position, newest: Position) -> bool:
        if position.boot == newest.boot:
            return position.seq < newest.seq
        return position.boot in self.former

    def _go_on(self, position: Position, kind: Literal["next", "epoch"]) -> Judgement:
        if self.newest is not None and self.newest.boot != position.boot:
            self.former = [*self.former, self.newest.boot][-FORMER:]
        self.newest, self.suspect = position, None
        return Judgement(kind)


@dataclass(slots=True)
class Courses:
    """All of one PLVN: by INMFs, whose slots have lengths of their own."""

    limit_s: float
    of: dict[Hashable, Course] = field(default_factory=dict)

    def take(self, key: Hashable, position: Position) -> Judgement:
        """Judge a message of a kind, and go on from it if it is taken."""
        return self.of.setdefault(key, Course(self.limit_s)).take(position)


def _told(position: Position) -> str:
    return f"slot time {position.slot_s:g} s, simulated time {position.sim_time_s:g} s"
