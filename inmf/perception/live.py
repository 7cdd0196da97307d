"""Variant `live` of cooperative perception: hidden conditions, switching cost, masked pairs.

An observation is [B, W of each pair, d of each pair, mode before of each pair, presence of each
pair], scaled and clipped. The hidden condition enters rewards only. The single-slot functions are
what an agent and a source use; the batch is what learning uses; both run the same code.
A row without a pair is in SP, whatever was chosen: who takes it next pays for going to CP.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twintier.inmf.perception.condition import Condition, stack
from twintier.inmf.perception.physics import Physics, gains, pair_terms, physics_of
from twintier.inmf.spec import InmfSpec, Observation
from twintier.inmf.trajectory import Array, Mask, ShapeError, Trace

PAIRS = 3
MAX_OBJECTS = 40.0
MIN_DISTANCE_M = 1.0
MAX_DISTANCE_M = 150.0

COOP_PERCEPTION = InmfSpec(
    inmf="coop-perception",
    observation_dim=1 + 4 * PAIRS,
    action_dim=PAIRS,
    slots=75,
    slot_s=1.0,
    gamma=0.9,
    gae_lambda=0.3,
)


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


class LiveEpisodes:
    """Episodes on a trace under hidden conditions; an `EpisodeBatch`."""

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
        self._present_before = trace.present_before

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return self.trace.episodes

    def observe(self, slot: int, modes_before: Mask) -> Observation:
        """Observation of one slot, (episodes, 13)."""
        trace = self.trace
        return observe(
            trace.bandwidth_hz[:, slot],
            trace.objects[:, slot],
            trace.distance_m[:, slot],
            trace.present[:, slot],
            modes_before & self._present_before[:, slot],
        )

    def observe_all(self, modes_before: Mask) -> Observation:
        """Observations of all slots, (episodes, slots, 13)."""
        trace = self.trace
        return observe(
            trace.bandwidth_hz,
            trace.objects,
            trace.distance_m,
            trace.present,
            modes_before & self._present_before,
        )

    def rewards(self, modes_before: Mask, modes: Mask) -> Array:
        """True reward of every slot, (episodes, slots)."""
        return self.outcome(modes_before, modes).reward_j

    def outcome(self, modes_before: Mask, modes: Mask) -> Outcome:
        """Rewards with feasibility, (episodes, slots)."""
        trace = self.trace
        return outcome(
            self.physics,
            trace.bandwidth_hz,
            trace.objects,
            trace.distance_m,
            trace.present,
            modes_before=modes_before & self._present_before,
            modes=modes,
        )
