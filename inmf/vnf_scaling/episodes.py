"""Episodes of VNF scaling: loads are drawn before the first slot, stepping is deterministic.

The load does not depend on actions, so its memory is worked out once for all slots; what actions
change is the orchestrator's log and the backlog.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from twintier.inmf.episodes import Actions, Memory
from twintier.inmf.spec import Array, InmfSpec, Observation
from twintier.inmf.vnf_scaling.foresight import Choices, choice_values
from twintier.inmf.vnf_scaling.physics import (
    EXPECTED,
    LAG,
    LEAST_INSTANCES,
    LOG,
    MOST_INSTANCES,
    backlog_after,
    changes,
    delay_of,
    order,
    reward_of,
    running,
    total_after,
    within,
)
from twintier.inmf.vnf_scaling.slots import (
    FORGETTING,
    SPEC,
    WINDOW,
    Loads,
    features,
    load_features,
)

WARM_UP = 20
"""Loads before the first slot, so that memory is as full as in a PLVN."""
TAIL = 30
"""Loads after the last slot, which only the teacher sees: what an order does later counts too."""
DRAWN = WARM_UP + SPEC.slots + TAIL
"""Loads of an episode."""


def numbers(memory: Memory, name: str) -> Array:
    """One array of memory, as numbers."""
    return np.asarray(memory[name], float)


class EpisodeError(ValueError):
    """Arrays of episodes do not fit."""


@dataclass(frozen=True, slots=True)
class LoadTrace:
    """The exogenous part of episodes."""

    loads: tuple[Loads, ...]
    """Memory of each slot (episodes,), with the load measured last."""
    earliest: Array
    """(episodes, slots): load three slots before that."""
    met: Array
    """(episodes, slots or more): load after the decision; more than slots for the teacher only."""

    @classmethod
    def of(cls, drawn: Array, *, forgetting: float = FORGETTING) -> "LoadTrace":
        """Trace of drawn loads (episodes, `DRAWN`)."""
        slots, first = SPEC.slots, WARM_UP
        loads = Loads.after_each(drawn[:, : first + slots - 1], forgetting).by_slot()
        before = first - 1 - WINDOW
        return cls(loads[-slots:], drawn[:, before : before + slots], drawn[:, first:])


@dataclass(frozen=True, slots=True)
class Start:
    """State before the first slot."""

    ordered: Array
    """(episodes, LOG)."""
    backlog_s: Array
    """(episodes,)."""

    @classmethod
    def settled(cls, loads: Loads) -> "Start":
        """Instances for the mean load and a deviation, nothing waiting, no order pending."""
        total = within(np.ceil(loads.provision(1.0)), LEAST_INSTANCES, MOST_INSTANCES)
        return cls(np.repeat(total[:, None], LOG, axis=1), np.zeros(len(total)))


@dataclass(frozen=True, slots=True)
class Course:
    """States that actions lead to, each (episodes, slots) and more."""

    ordered: Array
    """(episodes, slots + 1, LOG)."""
    backlog_s: Array
    """(episodes, slots + 1)."""
    reward: Array
    """(episodes, slots)."""


class VnfEpisodes:
    """Episodes on loads under hidden conditions; a `Scored` batch."""

    exogenous = False

    def __init__(
        self, trace: LoadTrace, hidden: Array | None = None, start: Start | None = None
    ) -> None:
        """Put loads and hidden parameters together.

        Args:
            trace: loads.
            hidden: (1 or episodes, 3); what an expert expects, if None.
            start: before the first slot; settled, if None.

        Raises:
            EpisodeError: if there are neither one nor as many hidden rows as episodes.
        """
        episodes = len(trace.met)
        given = EXPECTED[None] if hidden is None else np.asarray(hidden, float)
        if given.shape not in {(1, 3), (episodes, 3)}:
            raise EpisodeError(
                f"hidden parameters {given.shape} must be (1, 3) or ({episodes}, 3); "
                "give one row, or one of each episode"
            )
        self.trace = trace
        self.spec: InmfSpec = replace(SPEC, slots=len(trace.loads))
        self.hidden = np.broadcast_to(given, (episodes, 3))
        self.start = start or Start.settled(trace.loads[0])

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return len(self.trace.met)

    @property
    def lag(self) -> Array:
        """Slots from an order to its effect, (episodes,)."""
        return self.hidden[:, LAG]

    @cached_property
    def known(self) -> Array:
        """What orders do not change of observations, (slots, episodes, 15)."""
        return load_features(Loads.stacked(self.trace.loads), self.trace.earliest.T)

    def first_memory(self) -> Memory:
        """Log, backlog and what runs before the first slot."""
        ordered = self.start.ordered
        return {
            "ordered": ordered,
            "backlog_s": self.start.backlog_s,
            "running": running(ordered, self.lag),
        }

    def observe(self, slot: int, memory: Memory) -> Observation:
        """(episodes, 15) of a slot."""
        backlog_s, capacity = numbers(memory, "backlog_s"), numbers(memory, "running")
        return features(self.known[slot], backlog_s, capacity, numbers(memory, "ordered"))

    def observe_all(self) -> Observation:
        """Nothing to see without actions.

        Raises:
            EpisodeError: always; backlog and log depend on actions.
        """
        raise EpisodeError("episodes of vnf-scaling depend on actions; observe slot by slot")

    def remember(self, slot: int, memory: Memory, actions: Actions) -> Memory:
        """Log, backlog and what runs after `actions` (episodes, 1) of a slot."""
        chosen = np.asarray(actions, np.intp)[:, 0]
        ordered = order(numbers(memory, "ordered"), chosen)
        capacity = running(ordered, self.lag)
        met = self.trace.met[:, slot]
        return {
            "ordered": ordered,
            "backlog_s": backlog_after(numbers(memory, "backlog_s"), met, capacity),
            "running": capacity,
        }

    def course(self, actions: Actions) -> Course:
        """States and rewards of all actions (episodes, slots, 1)."""
        # The same as `remember` slot by slot, but only totals and backlogs need the loop.
        chosen = np.asarray(actions, np.intp)[..., 0].T
        totals = np.concatenate([self.start.ordered.T[::-1], np.empty(chosen.shape)])
        for slot, choice in enumerate(chosen, start=LOG):
            totals[slot] = total_after(totals[slot - 1], choice)
        logs = sliding_window_view(totals, LOG, axis=0)[..., ::-1].swapaxes(0, 1)
        capacity = running(logs[:, 1:], self.lag[:, None])
        backlog_s = self._backlogs(capacity)
        delay_s = delay_of(backlog_s[:, 1:], capacity)
        changed = changes(logs[:, :-1], logs[:, 1:])
        return Course(logs, backlog_s, reward_of(self.hidden[:, None], capacity, delay_s, changed))

    def _backlogs(self, capacity: Array) -> Array:
        """(episodes, slots + 1) where (episodes, slots) run."""
        backlogs = [self.start.backlog_s]
        for met, runs in zip(self.trace.met.T, capacity.T, strict=False):
            backlogs.append(backlog_after(backlogs[-1], met, runs))
        return np.stack(backlogs, axis=1)

    def rewards(self, actions: Actions) -> Array:
        """Reward of every slot, (episodes, slots)."""
        return self.course(actions).reward

    def scores(self, actions: Actions) -> Array:
        """Discounted worth of every choice and the best play after it, on the known load.

        An order earns nothing in its own slot where it takes effect later, so the teacher looks
        ahead: these are exact values of dynamic programming, but for the grid of backlogs.
        """
        trace, gamma = self.trace, self.spec.gamma
        slots = actions.shape[1]
        longest = int(self.lag.max()) - 1
        course = self._prolonged(actions, min(longest, trace.met.shape[1] - slots))
        total = course.ordered[:, :slots, 0]
        effect = np.arange(slots) + self.lag.astype(np.intp)[:, None] - 1
        reached = np.minimum(effect, course.backlog_s.shape[1] - 1)
        backlog_s = course.backlog_s[np.arange(self.episodes)[:, None], reached]
        choices = Choices(effect, total, backlog_s)
        scores = choice_values(trace.met, self.hidden, choices, gamma=gamma)
        return scores * (gamma ** (self.lag - 1.0))[:, None, None]

    def _prolonged(self, actions: Actions, slots: int) -> Course:
        """The course with so many more slots in which nothing is ordered."""
        more = np.zeros((self.episodes, slots, 1), np.intp)
        return self.course(np.concatenate([np.asarray(actions, np.intp), more], axis=1))
