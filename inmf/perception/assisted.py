"""What a policy sees on the platform: a slot of `live` cooperative perception, expert features.

Beside the plain observation stand, of each pair, the share of the bandwidth that it would need with
expert constants (in units of an equal share) and its share of the gain that all pairs could make.
Nothing hidden enters: both follow from what is observed. A hidden condition then only shifts where
a pair stops fitting, which a small network learns in a few steps (model-assisted learning, the
paper's reference [15]).
"""

from functools import cached_property

import numpy as np

from twintier.inmf.episodes import Memory
from twintier.inmf.perception.condition import stack
from twintier.inmf.perception.live import (
    MAX_DISTANCE_M,
    MAX_OBJECTS,
    MIN_DISTANCE_M,
    MODES_BEFORE,
    PAIRS,
    LiveEpisodes,
    observe,
)
from twintier.inmf.perception.physics import NOMINAL, pair_terms, physics_of
from twintier.inmf.spec import Array, InmfSpec, Mask, MultiBinary, Observation

COOP_PERCEPTION_ASSISTED = InmfSpec(
    inmf="coop-perception",
    observation_dim=1 + 6 * PAIRS,
    actions=MultiBinary(PAIRS),
    slots=75,
    slot_s=1.0,
    gamma=0.9,
    gae_lambda=0.3,
)
LARGEST_NEED = 3.0
"""A pair that would need more than three equal shares never fits."""
_EXPERT = physics_of(stack([NOMINAL])[0])
_MODES = slice(1 + 2 * PAIRS, 1 + 3 * PAIRS)
"""Where the modes before stand in an observation."""


def observe_assisted(
    bandwidth_hz: float | Array,
    objects: Array,
    distance_m: Array,
    present: Mask,
    modes_before: Mask,
) -> Observation:
    """Observation of slots, (..., 1 + 6 pairs) float32, of (...) bandwidth and (..., pairs)."""
    plain = observe(bandwidth_hz, objects, distance_m, present, modes_before)
    workload = np.where(present, np.clip(objects, 0.0, MAX_OBJECTS), 0.0)
    distance = np.clip(distance_m, MIN_DISTANCE_M, MAX_DISTANCE_M)
    equal_hz = np.maximum(np.asarray(bandwidth_hz, float)[..., None] / workload.shape[-1], 1.0)
    need = np.minimum(pair_terms(_EXPERT, workload, distance).least_hz / equal_hz, LARGEST_NEED)
    cubed = workload**3
    gain_share = cubed / np.maximum(cubed.sum(axis=-1, keepdims=True), 1e-9)
    return np.concatenate([plain, need, gain_share], axis=-1, dtype=np.float32)


class AssistedEpisodes(LiveEpisodes):
    """`LiveEpisodes` with assisted observations; a `Scored` batch."""

    spec: InmfSpec = COOP_PERCEPTION_ASSISTED

    @cached_property
    def _all_alone(self) -> Observation:
        """Observations of all slots after all-SP; only the modes before depend on actions."""
        trace = self.trace
        nobody = np.zeros(trace.present.shape, bool)
        return observe_assisted(
            trace.bandwidth_hz, trace.objects, trace.distance_m, trace.present, nobody
        )

    def observe(self, slot: int, memory: Memory) -> Observation:
        """Observation of one slot, (episodes, 19)."""
        seen = self._all_alone[:, slot].copy()
        seen[:, _MODES] = (
            memory[MODES_BEFORE].astype(bool, copy=False) & self.trace.present[:, slot]
        )
        return seen

    def observe_after(self, modes_before: Mask) -> Observation:
        """Observations (episodes, slots, 19) after any modes (episodes, slots, pairs)."""
        seen = self._all_alone.copy()
        seen[..., _MODES] = modes_before & self.trace.present
        return seen
