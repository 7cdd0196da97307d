"""True slots as episodes: what a PLVN did, and what else could have been done there.

As long as the tried actions are those of the PLVN, its measured backlogs and rewards stand; from
the first other one on, physics says what would have been. A course that comes back to the log and
the backlog that the PLVN had is again the PLVN's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twintier.inmf.contract import ACTION, REWARD, Columns
from twintier.inmf.episodes import Actions, Memory
from twintier.inmf.spec import Array, Mask, Observation
from twintier.inmf.vnf_scaling.episodes import (
    Course,
    LoadTrace,
    Start,
    VnfEpisodes,
    numbers,
)
from twintier.inmf.vnf_scaling.physics import changes, delay_of, reward_of, total_after
from twintier.inmf.vnf_scaling.slots import Loads

SAME_BACKLOG_S = 0.05
"""Backlogs this close are one state."""


@dataclass(frozen=True, slots=True)
class Done:
    """What the PLVN did and measured, (episodes, slots, ...)."""

    ordered: Array
    backlog_s: Array
    running: Array
    actions: Actions
    reward: Array


class VnfReplay(VnfEpisodes):
    """True slots under assumed hidden parameters; a `Replayed` batch."""

    def __init__(self, trace: LoadTrace, done: Done, hidden: Array | None) -> None:
        """Begin where each true episode began."""
        start = Start(done.ordered[:, 0], done.backlog_s[:, 0])
        super().__init__(trace, hidden, start)
        self.done = done

    def first_memory(self) -> Memory:
        """Log and backlog of the PLVN; `own` while the state is the PLVN's."""
        return {**super().first_memory(), "own": np.ones(self.episodes, bool)}

    def observe(self, slot: int, memory: Memory) -> Observation:
        """(episodes, 15) of a slot; in the PLVN's own states with the instances that it saw run."""
        capacity = np.where(memory["own"], self.done.running[:, slot], memory["running"])
        return super().observe(slot, {**memory, "running": capacity})

    def remember(self, slot: int, memory: Memory, actions: Actions) -> Memory:
        """The state after `actions` (episodes, 1): as measured where the PLVN did the same."""
        after = super().remember(slot, memory, actions)
        return self._rejoined(slot, after, self._same(slot, memory, after))

    def _rejoined(self, slot: int, after: Memory, same: Mask) -> Memory:
        """The emulated state after a slot, measured where it is the PLVN's own."""
        following = slot + 1
        if following >= self.done.backlog_s.shape[1]:
            return {**after, "own": np.zeros(self.episodes, bool)}
        backlog_s, measured_s = numbers(after, "backlog_s"), self.done.backlog_s[:, following]
        same_log = (numbers(after, "ordered") == self.done.ordered[:, following]).all(axis=-1)
        own = same_log & (same | (np.abs(backlog_s - measured_s) <= SAME_BACKLOG_S))
        return {**after, "backlog_s": np.where(own, measured_s, backlog_s), "own": own}

    def course(self, actions: Actions) -> Course:
        """States, measured where own, and emulated rewards of actions (episodes, slots, 1)."""
        return self._played(actions)[0]

    def measured(self, actions: Actions) -> tuple[Array, Mask]:
        """Rewards, measured where the PLVN did the same in the same state, and where that is."""
        course, own = self._played(actions)
        return np.where(own, self.done.reward, course.reward), own

    def _played(self, actions: Actions) -> tuple[Course, Mask]:
        memory = self.first_memory()
        states, emulated, own = [memory], [], []
        for slot in range(actions.shape[1]):
            emulated.append(super().remember(slot, memory, actions[:, slot]))
            own.append(self._same(slot, memory, emulated[-1]))
            memory = self._rejoined(slot, emulated[-1], own[-1])
            states.append(memory)
        logs, capacity = _stacked(states, "ordered"), _stacked(emulated, "running")
        # Rewards follow from the state before, not from the measured backlog after.
        delay_s = delay_of(_stacked(emulated, "backlog_s"), capacity)
        changed = changes(logs[:, :-1], logs[:, 1:])
        rewards = reward_of(self.hidden[:, None], capacity, delay_s, changed)
        return Course(logs, _stacked(states, "backlog_s"), rewards), np.stack(own, axis=1)

    def _same(self, slot: int, memory: Memory, after: Memory) -> Mask:
        """Whether the PLVN was in this state and ordered the same, (episodes,)."""
        before, here = numbers(memory, "ordered"), numbers(after, "ordered")
        there = total_after(before[:, 0], np.asarray(self.done.actions[:, slot, 0], np.intp))
        return np.asarray((here[:, 0] == there) & memory["own"], bool)


def _stacked(slots: Sequence[Memory], name: str) -> Array:
    return np.stack([numbers(memory, name) for memory in slots], axis=1)


def replayed(true: Columns, hidden: Array | None, slots: int) -> VnfReplay | None:
    """The newest whole episodes of so many true slots; None if there is none."""
    episodes = len(true[REWARD]) // slots
    if not episodes:
        return None

    def cut(name: str) -> Array:
        column = np.asarray(true[name], float)[-episodes * slots :]
        return column.reshape(episodes, slots, *column.shape[1:])

    before = Loads(cut("loads_before"), cut("load_mean"), cut("load_variance"), cut("load_seen"))
    load = cut("load")
    loads = before.followed_by(load).by_slot()
    earliest = np.where(before.seen > 0, before.before[..., -1], load)
    done = Done(
        cut("ordered"),
        cut("backlog_s"),
        cut("running"),
        cut(ACTION).astype(np.int64),
        cut(REWARD),
    )
    return VnfReplay(LoadTrace(loads, earliest, cut("load_met")), done, hidden)
