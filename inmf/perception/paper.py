"""Variant `paper` of cooperative perception: the case study of Section IV, for Fig. 6.

Everything is observed and nothing is hidden: bandwidth N(mu(k), 0.3 MHz), workload and distance
Markov from W = 8 and d = 6 m. A task is a radio pattern mu(0..K-1), the same in all its episodes.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twintier.inmf.episodes import Actions, Memory
from twintier.inmf.mobility import DISTANCE, OBJECTS
from twintier.inmf.perception.condition import Condition, stack
from twintier.inmf.perception.live import PAIRS, all_modes, before
from twintier.inmf.perception.physics import gains, pair_terms, physics_of
from twintier.inmf.spec import Array, InmfSpec, Mask, MultiBinary, Observation
from twintier.inmf.trajectory import ShapeError

MEANS_MHZ = (5.0, 6.0, 7.0)
"""Low, medium and high radio resources."""
DEVIATION_MHZ = 0.3
COOP_PERCEPTION_PAPER = InmfSpec(
    inmf="coop-perception-paper",
    observation_dim=1 + 2 * PAIRS,
    actions=MultiBinary(PAIRS),
    slots=75,
    slot_s=1.0,
    gamma=0.99,
    gae_lambda=0.97,
)


@dataclass(frozen=True, slots=True)
class PaperSettings:
    """What the journal version adds; the case study has none of it."""

    switching_cost_j: float = 0.0


def pattern(mean_mhz: float) -> Array:
    """The radio pattern of a task with the same mean in every slot, (slots,) MHz."""
    return np.full(COOP_PERCEPTION_PAPER.slots, mean_mhz)


TASK_LOW = pattern(5.0)
"""Task 1."""
TASK_HIGH = pattern(7.0)
"""Task 2."""


def draw_pattern(rng: np.random.Generator) -> Array:
    """A random task: mu(k) uniform over low, medium and high, (slots,) MHz."""
    return rng.choice(MEANS_MHZ, size=COOP_PERCEPTION_PAPER.slots)


class PaperEpisodes:
    """Episodes of tasks; a `Scored` batch."""

    spec: InmfSpec = COOP_PERCEPTION_PAPER

    def __init__(
        self,
        patterns_mhz: Array,
        episodes: int,
        rng: np.random.Generator,
        settings: PaperSettings | None = None,
    ) -> None:
        """Draw all randomness.

        Args:
            patterns_mhz: (slots,) of one task, or (episodes, slots) of each episode.
            episodes: how many.
            rng: draws bandwidth, workload and distance.
            settings: switching cost.

        Raises:
            ShapeError: if the patterns have not the right number of slots or episodes.
        """
        slots = self.spec.slots
        if np.shape(patterns_mhz) not in {(slots,), (episodes, slots)}:
            raise ShapeError(
                f"patterns {np.shape(patterns_mhz)} must be ({slots},) or ({episodes}, {slots})"
            )
        first = (episodes, PAIRS)
        drawn = rng.normal(patterns_mhz, DEVIATION_MHZ, (episodes, slots))
        self.bandwidth_hz: Array = np.maximum(drawn, 0.0) * 1e6
        most = np.full(first, len(OBJECTS.levels) - 1, np.intp)
        least = np.zeros(first, np.intp)
        self.objects: Array = np.moveaxis(OBJECTS.walk(most, slots, rng), -1, 1)
        self.distance_m: Array = np.moveaxis(DISTANCE.walk(least, slots, rng), -1, 1)
        cost_j = (settings or PaperSettings()).switching_cost_j
        self.condition = Condition(switching_cost_j=cost_j)
        self.physics = physics_of(stack([self.condition])[0])
        self._terms = pair_terms(self.physics, self.objects, self.distance_m)
        self._observations = observed(self.bandwidth_hz, self.objects, self.distance_m)

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return int(self.bandwidth_hz.shape[0])

    @property
    def exogenous(self) -> bool:
        """Observations never depend on actions."""
        return True

    def first_memory(self) -> Memory:
        """Nothing: observations show no modes, and rewards are computed over whole episodes."""
        return {}

    def observe(self, slot: int, memory: Memory) -> Observation:
        """Observation of one slot, (episodes, 7)."""
        del memory
        return self._observations[:, slot]

    def observe_all(self) -> Observation:
        """Observations of all slots, (episodes, slots, 7)."""
        return self._observations

    def remember(self, slot: int, memory: Memory, actions: Actions) -> Memory:
        """Nothing."""
        del slot, actions
        return memory

    def rewards(self, actions: Actions) -> Array:
        """Reward of every slot, (episodes, slots) J, of modes (episodes, slots, pairs)."""
        modes = actions.astype(bool, copy=False)
        return self._rewards(before(modes), modes)

    def scores(self, actions: Actions) -> Array:
        """J of every choice in each slot, after `actions` up to it, (episodes, slots, choices)."""
        earlier = before(actions.astype(bool, copy=False))
        earned = [
            self._rewards(earlier, np.broadcast_to(choice, earlier.shape))
            for choice in all_modes(PAIRS)
        ]
        return np.stack(earned, axis=-1)

    def _rewards(self, modes_before: Mask, modes: Mask) -> Array:
        gain_j, _ = gains(self._terms, modes, self.bandwidth_hz)
        changes = (modes != modes_before).sum(axis=-1)
        reward_j: Array = gain_j - self.physics.switching_cost_j * changes
        return reward_j


def observed(bandwidth_hz: Array, objects: Array, distance_m: Array) -> Observation:
    """Observations (..., 7) of bandwidths (...), workloads and distances (..., pairs)."""
    scaled = (
        ((bandwidth_hz / 1e6 - 2.0) / 5.0)[..., None],
        (objects - 4.0) / 4.0,
        (distance_m - 6.0) / 24.0,
    )
    joined: npt.NDArray[np.float32] = np.concatenate(scaled, axis=-1, dtype=np.float32)
    return joined
