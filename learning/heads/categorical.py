"""The head for one of several choices: the outputs are logits, exploration is Gumbel noise.

The largest of logits plus Gumbel noise is a sample of their softmax, so greedy actions are those of
no noise. A sample is the index of the choice.
"""

import numpy as np

from twintier.inmf.actor import action_of, most_likely
from twintier.inmf.episodes import Actions
from twintier.inmf.spec import Discrete
from twintier.learning.engines.port import Array


def softmax(logits: Array) -> tuple[Array, Array]:
    """Probabilities of (..., choices) logits, and their logarithms."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return np.exp(log_probabilities), log_probabilities


class CategoricalDensity:
    """Log-probability of choices under the softmax of outputs; see `port.Density`."""

    __slots__ = ("_log", "_moved", "_probability", "_score", "log_prob")

    def __init__(self, outputs: Array, samples: Array) -> None:
        """Compare samples (..., rows, 1) with logits (..., rows, choices)."""
        self._probability, self._log = softmax(outputs)
        chosen = np.arange(outputs.shape[-1]) == samples
        self._score = chosen - self._probability
        self.log_prob: Array = np.add.reduce(self._log * chosen, axis=-1)

    def write_gradient(self, weight: Array, free_gradient: Array) -> Array:
        """As the port has it."""
        del free_gradient
        gradient: Array = weight[..., None] * self._score
        return gradient

    def moved(self, outputs: Array, free: Array) -> Array:
        """As the port has it."""
        del free
        self._moved = outputs
        total: Array = (self._score * outputs).sum(axis=-1)
        return total

    def write_product(
        self, weight: Array, moved_weight: Array, free_product: Array
    ) -> tuple[Array, Array]:
        """As the port has it; `moved` comes first."""
        del free_product
        column = weight[..., None]
        mean = (self._probability * self._moved).sum(axis=-1, keepdims=True)
        moved_score = self._probability * (mean - self._moved)
        moved: Array = moved_weight[..., None] * self._score + column * moved_score
        return column * self._score, moved

    def write_entropy(self, coefficient: float, output_gradient: Array, free: Array) -> None:
        """As the port has it: dH/dlogit = -p (log p + H)."""
        del free
        entropy = -(self._probability * self._log).sum(axis=-1, keepdims=True)
        slope = self._probability * (self._log + entropy)
        output_gradient += coefficient / self.log_prob.shape[-1] * slope


class Categorical:
    """A softmax over the choices; see `port.Head`."""

    free = 0
    width = 1

    def __init__(self, space: Discrete) -> None:
        """Take the number of choices."""
        self.outputs = space.choices
        self._space = space

    def draw(self, rng: np.random.Generator, noise: Array) -> None:
        """As the port has it: Gumbel noise."""
        noise[...] = rng.gumbel(size=noise.shape)

    def spread(self, noise: Array, free: Array) -> None:
        """As the port has it: nothing to scale."""

    def explore(self, outputs: Array, noise: Array) -> Array:
        """As the port has it: the index of the largest sum."""
        return most_likely(outputs + noise)

    def action(self, samples: Array) -> Actions:
        """(..., 1) int64."""
        return action_of(self._space, samples)

    def density(self, outputs: Array, free: Array, samples: Array) -> CategoricalDensity:
        """As the port has it."""
        del free
        return CategoricalDensity(outputs, samples)

    def entropy(self, outputs: Array, free: Array) -> float:
        """As the port has it."""
        del free
        probability, logarithm = softmax(outputs)
        return -float((probability * logarithm).sum(axis=-1).mean())

    def warmth(self, outputs: Array) -> float:
        """Logits differ from their mean by a root mean square of 1 at most; their order stays."""
        apart = outputs - outputs.mean(axis=-1, keepdims=True)
        size = float(np.sqrt(np.mean(np.square(apart, dtype=np.float64))))
        return 1.0 / max(size, 1.0)
