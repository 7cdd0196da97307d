"""The hidden part of a PLVN's network condition, and the ranges it is drawn from.

A condition is what neither policy nor baseline observes in `live` cooperative perception: it moves
the limit of feasibility, so a model that fits one condition goes stale in another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Condition:
    """One hidden condition of `coop-perception-hidden` v1."""

    feature_factor: float = 1.0
    """Factor on the feature data of one object (w), dimensionless."""
    delay_requirement_s: float = 0.1
    """Delay budget of one perception task (Delta)."""
    early_exit_ratio: float = 0.3
    """Early-exit ratio of the default DNN (rho); the fusion DNN has 0.3 more."""
    noise_db: float = 0.0
    """Rise of the noise floor."""
    switching_cost_j: float = 0.2
    """Cost of each pair that changes its mode."""

    def as_array(self) -> Array:
        """The five numbers in field order, shape (5,)."""
        return np.array(
            (
                self.feature_factor,
                self.delay_requirement_s,
                self.early_exit_ratio,
                self.noise_db,
                self.switching_cost_j,
            )
        )

    @classmethod
    def from_array(cls, values: Array) -> "Condition":
        """The condition of five numbers in field order."""
        return cls(*(float(value) for value in values))


PRIOR_LOW = Condition(0.7, 0.08, 0.1, 0.0, 0.0)
"""Lower ends of the prior ranges; the feature factor is log-uniform, the rest uniform."""
PRIOR_HIGH = Condition(1.5, 0.12, 0.6, 10.0, 0.6)
"""Upper ends of the prior ranges."""


def draw_conditions(count: int, rng: np.random.Generator) -> list[Condition]:
    """Draw conditions from the prior of `coop-perception-hidden` v1."""
    low, high = PRIOR_LOW.as_array(), PRIOR_HIGH.as_array()
    low[0], high[0] = np.log(low[0]), np.log(high[0])
    values = rng.uniform(low, high, size=(count, low.size))
    values[:, 0] = np.exp(values[:, 0])
    return [Condition.from_array(row) for row in values]


def stack(conditions: Sequence[Condition]) -> Array:
    """Conditions as rows, shape (count, 5)."""
    return np.stack([condition.as_array() for condition in conditions])
