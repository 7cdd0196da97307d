"""Episodes of VNF scaling: loads are drawn before the first slot, stepping is deterministic.

The load does not depend on actions, so its memory is worked out once for all slots; what actions
change is the orchestrator's log and the backlog.
"""

from dataclasses import dataclass, replace

import numpy as np

from twintier.inmf.episodes import Actions, Memory
from twintier.inmf.spec import Array, InmfSpec, Observation
from twintier.inmf.vnf_scaling.foresight import (
    LEVELS,
    backward,
    choice_values,
    order_costs,
    paid_late,
)
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
)
from twintier.inmf.vnf_scaling.slots import FORGETTING, SPEC, Loads, features

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
        memory = Loads.none(len(drawn))
        loads, earliest = [], []
        for slot in range(first + slots - 1):
            before, load = memory, drawn[:, slot]
            memory = before.followed_by(load, forgetting)
            loads.append(memory)
            earliest.append(np.where(before.seen > 0, before.before[..., -1], load))
        return cls(tuple(loads[-slots:]), np.stack(earliest[-slots:], axis=1), drawn[:, first:])


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
        total = np.clip(np.ceil(loads.provision(1.0)), LEAST_INSTANCES, MOST_INSTANCES)
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

    def first_memory(self) -> Memory:
        """Log and backlog before the first slot."""
        return {"ordered": self.start.ordered, "backlog_s": self.start.backlog_s}

    def observe(self, slot: int, memory: Memory) -> Observation:
        """(episodes, 15) of a slot."""
        ordered = numbers(memory, "ordered")
        capacity = running(ordered, self.lag)
        backlog_s = numbers(memory, "backlog_s")
        trace = self.trace
        return features(trace.loads[slot], trace.earliest[:, slot], backlog_s, capacity, ordered)

    def observe_all(self) -> Observation:
        """Nothing to see without actions.

        Raises:
            EpisodeError: always; backlog and log depend on actions.
        """
        raise EpisodeError("episodes of vnf-scaling depend on actions; observe slot by slot")

    def remember(self, slot: int, memory: Memory, actions: Actions) -> Memory:
        """Log and backlog after `actions` (episodes, 1) of a slot."""
        chosen = np.asarray(actions, np.intp)[:, 0]
        ordered = order(numbers(memory, "ordered"), chosen)
        backlog_s = numbers(memory, "backlog_s")
        met = self.trace.met[:, slot]
        return {
            "ordered": ordered,
            "backlog_s": backlog_after(backlog_s, met, running(ordered, self.lag)),
        }

    def course(self, actions: Actions) -> Course:
        """States and rewards of all actions (episodes, slots, 1)."""
        memory = self.first_memory()
        ordered, backlogs = [numbers(memory, "ordered")], [numbers(memory, "backlog_s")]
        for slot in range(actions.shape[1]):
            memory = self.remember(slot, memory, actions[:, slot])
            ordered.append(numbers(memory, "ordered"))
            backlogs.append(numbers(memory, "backlog_s"))
        logs, backlog_s = np.stack(ordered, axis=1), np.stack(backlogs, axis=1)
        return Course(logs, backlog_s, self._rewards(logs, backlog_s))

    def _rewards(self, logs: Array, backlog_s: Array) -> Array:
        capacity = running(logs[:, 1:], self.lag[:, None])
        delay_s = delay_of(backlog_s[:, 1:], capacity)
        changed = changes(logs[:, :-1], logs[:, 1:])
        return reward_of(self.hidden[:, None], capacity, delay_s, changed)

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
        paid = paid_late(self.hidden, gamma)
        # An order whose effect lies beyond the known load costs, and earns nothing.
        scores = -order_costs(paid[:, None], course.ordered[:, :slots, 0])
        rows = np.arange(self.episodes)
        for effect, worth, _ in backward(trace.met, self.hidden, gamma=gamma, levels=LEVELS):
            decided = effect - self.lag.astype(np.intp) + 1
            inside = (decided >= 0) & (decided < slots)
            if not inside.any():
                continue
            total = course.ordered[rows, decided.clip(0, slots - 1), 0]
            backlog_s = course.backlog_s[:, min(effect, course.backlog_s.shape[1] - 1)]
            values = choice_values(worth, paid, total, backlog_s)
            scores[rows[inside], decided[inside]] = values[inside]
        return scores * (gamma ** (self.lag - 1.0))[:, None, None]

    def _prolonged(self, actions: Actions, slots: int) -> Course:
        """The course with so many more slots in which nothing is ordered."""
        more = np.zeros((self.episodes, slots, 1), np.intp)
        return self.course(np.concatenate([np.asarray(actions, np.intp), more], axis=1))
