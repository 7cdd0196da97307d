"""Variant `live` of cooperative perception: hidden conditions, switching cost, masked pairs.

An observation is [B, W of each pair, d of each pair, mode before of each pair, presence of each
pair], scaled and clipped. The hidden condition enters rewards only. The single-slot functions are
what an agent and a source use; the batch is what learning uses; both run the same code.
A row without a pair is in SP, whatever was chosen: who takes it next pays for going to CP.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twintier.inmf.episodes import Actions, Memory
from twintier.inmf.perception.condition import Condition, stack
from twintier.inmf.perception.physics import Physics, gains, pair_terms, physics_of
from twintier.inmf.spec import Array, InmfSpec, Mask, MultiBinary, Observation
from twintier.inmf.trajectory import ShapeError, Trace

PAIRS = 3
MAX_OBJECTS = 40.0
MIN_DISTANCE_M = 1.0
MAX_DISTANCE_M = 150.0

COOP_PERCEPTION = InmfSpec(
    inmf="coop-perception",
    observation_dim=1 + 4 * PAIRS,
    actions=MultiBinary(PAIRS),
    slots=75,
    slot_s=1.0,
    gamma=0.9,
    gae_lambda=0.3,
)


MODES_BEFORE = "modes_before"
"""What is remembered from slot to slot: the mode of each pair; True is CP."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the modes of slots were worth."""

    reward_j: Array
    """(...): gain less switching cost; -10 less switching cost where the modes do not fit."""
    infeasible: Mask
    """(...): the modes did not fit and were treated as all-SP."""


def observe(
    bandwidth_hz: float | Array,
    objects: Array,
    distance_m: Array,
    present: Mask,
    modes_before: Mask,
) -> Observation:
    """Observation of slots, (..., 1 + 4 pairs) float32, of (...) bandwidth and (..., pairs)."""
    bandwidth = np.clip((np.asarray(bandwidth_hz) / 1e6 - 6.0) / 3.0, -3.0, 3.0)
    parts = (
        bandwidth[..., None],
        np.where(present, np.clip(objects / 20.0, -3.0, 3.0), 0.0),
        np.where(present, np.clip(distance_m / 75.0, -3.0, 3.0), 0.0),
        modes_before & present,
        present,
    )
    return np.concatenate(parts, axis=-1, dtype=np.float32)


def carried_out(modes: Mask, objects: Array, present: Mask) -> Mask:
    """Pairs that really cooperate: chosen, there, and with objects to perceive."""
    return modes & present & (objects > 0)


def outcome(
    physics: Physics,
    bandwidth_hz: float | Array,
    objects: Array,
    distance_m: Array,
    present: Mask,
    *,
    modes_before: Mask,
    modes: Mask,
) -> Outcome:
    """Reward of slots; the physics broadcasts over (...), pairs are the last axis."""
    workload = np.clip(objects, 0.0, MAX_OBJECTS)
    terms = pair_terms(physics, workload, np.clip(distance_m, MIN_DISTANCE_M, MAX_DISTANCE_M))
    cooperating = carried_out(modes, workload, present)
    gain_j, feasible = gains(terms, cooperating, np.asarray(bandwidth_hz))
    changes = ((modes & present) != (modes_before & present)).sum(axis=-1)
    return Outcome(gain_j - physics.switching_cost_j * changes, ~feasible)


def all_modes(pairs: int) -> Mask:
    """Every choice of modes, (2^pairs, pairs); all-SP first."""
    codes = np.arange(2**pairs)
    return ((codes[:, None] >> np.arange(pairs)) & 1).astype(bool)


def before(modes: Mask) -> Mask:
    """Modes before each slot, from modes (episodes, slots, pairs); all-SP before the first."""
    shifted = np.zeros_like(modes)
    shifted[:, 1:] = modes[:, :-1]
    return shifted


class LiveEpisodes:
    """Episodes on a trace under hidden conditions; a `Scored` batch."""

    spec: InmfSpec = COOP_PERCEPTION
    exogenous = False

    def __init__(self, trace: Trace, conditions: Condition | Sequence[Condition]) -> None:
        """Put trace and conditions together.

        Args:
            trace: of `PAIRS` pairs.
            conditions: one for all episodes, or one of each.

        Raises:
            ShapeError: if there are neither one nor as many conditions as episodes.
        """
        listed = [conditions] if isinstance(conditions, Condition) else list(conditions)
        if len(listed) not in {1, trace.episodes} or trace.pairs != PAIRS:
            raise ShapeError(
                f"{len(listed)} conditions and {trace.pairs} pairs do not fit {trace.episodes} "
                f"episodes of {PAIRS} pairs; give one condition, or one of each episode"
            )
        self.trace = trace
        self.conditions = stack(listed)
        self.physics = physics_of(self.conditions[:, None])

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return self.trace.episodes

    def first_memory(self) -> Memory:
        """All-SP: {"modes_before": (episodes, pairs)}."""
        return {MODES_BEFORE: np.zeros((self.episodes, PAIRS), bool)}

    def observe(self, slot: int, memory: Memory) -> Observation:
        """Observation of one slot, (episodes, 13)."""
        trace = self.trace
        return observe(
            trace.bandwidth_hz[:, slot],
            trace.objects[:, slot],
            trace.distance_m[:, slot],
            trace.present[:, slot],
            memory[MODES_BEFORE].astype(bool, copy=False),
        )

    def observe_all(self) -> Observation:
        """Nothing: modes before are part of an observation.

        Raises:
            NotImplementedError: always; `observe_after` takes modes of all slots.
        """
        raise NotImplementedError("live episodes depend on actions; observe them slot by slot")

    def observe_after(self, modes_before: Mask) -> Observation:
        """Observations (episodes, slots, 13) after any modes (episodes, slots, pairs)."""
        trace = self.trace
        return observe(
            trace.bandwidth_hz, trace.objects, trace.distance_m, trace.present, modes_before
        )

    def remember(self, slot: int, memory: Memory, actions: Actions) -> Memory:
        """The modes of a slot; a pair that is away has none, whatever was chosen."""
        del memory
        return {MODES_BEFORE: actions.astype(bool, copy=False) & self.trace.present[:, slot]}

    def rewards(self, actions: Actions) -> Array:
        """True reward of every slot, (episodes, slots) J, of modes (episodes, slots, pairs)."""
        return self.played(actions).reward_j

    def played(self, actions: Actions) -> Outcome:
        """Rewards with feasibility of an episode's modes, (episodes, slots)."""
        modes = actions.astype(bool, copy=False)
        return self.outcome(before(modes & self.trace.present), modes)

    def scores(self, actions: Actions) -> Array:
        """J of every choice in each slot, after `actions` up to it, (episodes, slots, choices)."""
        earlier = before(actions.astype(bool, copy=False) & self.trace.present)
        earned = [
            self.outcome(earlier, np.broadcast_to(choice, earlier.shape)).reward_j
            for choice in all_modes(PAIRS)
        ]
        return np.stack(earned, axis=-1)

    def outcome(self, modes_before: Mask, modes: Mask) -> Outcome:
        """Rewards with feasibility (episodes, slots) of each slot after any modes before it."""
        trace = self.trace
        return outcome(
            self.physics,
            trace.bandwidth_hz,
            trace.objects,
            trace.distance_m,
            trace.present,
            modes_before=modes_before,
            modes=modes,
        )
