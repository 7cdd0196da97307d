"""The paper's head for choices of yes or no: a Gaussian of each, True where it is not below 0."""

import numpy as np

from twintier.inmf.actor import action_of
from twintier.inmf.episodes import Actions
from twintier.inmf.spec import MultiBinary
from twintier.learning.engines.port import Array
from twintier.learning.heads.normal import NormalHead


class ThresholdedGaussian(NormalHead):
    """Discretised samples of a Gaussian."""

    def __init__(self, space: MultiBinary) -> None:
        """Take the number of choices."""
        super().__init__(space.size)
        self._space = space

    def action(self, samples: Array) -> Actions:
        """(..., size) bool."""
        return action_of(self._space, samples)

    def warmth(self, outputs: Array) -> float:
        """Means have a root mean square of 1 at most; their signs are the greedy actions."""
        size = float(np.sqrt(np.mean(np.square(outputs, dtype=np.float64))))
        return 1.0 / max(size, 1.0)
