"""The head for real numbers between limits: a Gaussian in half ranges from the middle, clipped.

Log-probabilities are those of the sample before it is clipped, so a gradient does not vanish at a
limit.
"""

from twintier.inmf.actor import action_of
from twintier.inmf.episodes import Actions
from twintier.inmf.spec import Box
from twintier.learning.engines.port import Array
from twintier.learning.heads.normal import NormalHead


class Gaussian(NormalHead):
    """Samples of a Gaussian, clipped to the limits of the space."""

    def __init__(self, space: Box) -> None:
        """Take the limits."""
        super().__init__(space.width)
        self._space = space

    def action(self, samples: Array) -> Actions:
        """(..., width) float32 between the limits."""
        return action_of(self._space, samples)

    def warmth(self, outputs: Array) -> float:
        """1: the means are the greedy actions, so only the deviations are set back."""
        del outputs
        return 1.0
