"""True slots as episodes: what a PLVN did, and what else could have been done there.

As long as the tried actions are those of the PLVN, its measured backlogs and rewards stand; from
the first other one on, physics says what would have been. A course that comes back to the log and
the backlog that the PLVN had is again the PLVN's own.
"""

from dataclasses import dataclass

import numpy as np

from twintier.inmf.contract import ACTION, REWARD, Columns
from twintier.inmf.episodes import Actions, Memory
from twintier.inmf.spec import Array, Mask, Observation
from twintier.inmf.vnf_scaling.episodes import LoadTrace, Start, VnfEpisodes, numbers
from twintier.inmf.vnf_scaling.physics import changes, delay_of, order, reward_of, running
from twintier.inmf.vnf_scaling.slots import Loads, features

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
        ordered = numbers(memory, "ordered")
        own = np.asarray(memory["own"], bool)
        capacity = np.where(own, self.done.running[:, slot], running(ordered, self.lag))
        backlog_s = numbers(memory, "backlog_s")
        trace = self.trace
        return features(trace.loads[slot], trace.earliest[:, slot], backlog_s, capacity, ordered)

    def remember(self, slot: int, memory: Memory, actions: Actions) -> Memory:
        """The state after `actions` (episodes, 1): as measured where the PLVN did the same."""
        after = dict(super().remember(slot, memory, actions))
        following = slot + 1
        if following >= self.done.backlog_s.shape[1]:
            return {**after, "own": np.zeros(self.episodes, bool)}
        backlog_s, measured_s = numbers(after, "backlog_s"), self.done.backlog_s[:, following]
        same_log = (numbers(after, "ordered") == self.done.ordered[:, following]).all(axis=-1)
        stayed = np.asarray(memory["own"], bool) & self._same(slot, memory, actions)
        own = same_log & (stayed | (np.abs(backlog_s - measured_s) <= SAME_BACKLOG_S))
        return {**after, "backlog_s": np.where(own, measured_s, backlog_s), "own": own}

    def rewards(self, actions: Actions) -> Array:
        """Emulated reward of every slot, (episodes, slots), from measured states where own."""
        return self._played(actions)[0]

    def measured(self, actions: Actions) -> tuple[Array, Mask]:
        """Rewards, measured where the PLVN did the same in the same state, and where that is."""
        emulated, own = self._played(actions)
        return np.where(own, self.done.reward, emulated), own

    def _played(self, actions: Actions) -> tuple[Array, Mask]:
        memory = self.first_memory()
        rewards, own = [], []
        for slot in range(actions.shape[1]):
            chosen = np.asarray(actions[:, slot])
            own.append(np.asarray(memory["own"], bool) & self._same(slot, memory, chosen))
            # Rewards follow from the state before, not from the measured backlog after.
            plain = VnfEpisodes.remember(self, slot, memory, chosen)
            before, after = numbers(memory, "ordered"), numbers(plain, "ordered")
            capacity = running(after, self.lag)
            delay_s = delay_of(numbers(plain, "backlog_s"), capacity)
            rewards.append(reward_of(self.hidden, capacity, delay_s, changes(before, after)))
            memory = self.remember(slot, memory, chosen)
        return np.stack(rewards, axis=1), np.stack(own, axis=1)

    def _same(self, slot: int, memory: Memory, actions: Actions) -> Mask:
        """Whether actions order what the PLVN ordered in this slot, (episodes,)."""
        ordered = numbers(memory, "ordered")
        here, there = (
            order(ordered, np.asarray(each, np.intp)[:, 0])
            for each in (actions, self.done.actions[:, slot])
        )
        return ~changes(here, there)


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
    after = before.followed_by(load)
    loads = tuple(
        Loads(
            after.before[:, slot],
            after.mean[:, slot],
            after.variance[:, slot],
            after.seen[:, slot],
        )
        for slot in range(slots)
    )
    earliest = np.where(before.seen > 0, before.before[..., -1], load)
    done = Done(
        cut("ordered"),
        cut("backlog_s"),
        cut("running"),
        cut(ACTION).astype(np.int64),
        cut(REWARD),
    )
    return VnfReplay(LoadTrace(loads, earliest, cut("load_met")), done, hidden)
