"""What both Gaussian heads share: means from the network, log_std of each component free.

log_std is a free parameter, not an output: entropy is then the same in all states, as in
Fig. 6(b).
"""

from abc import ABC, abstractmethod
from math import e, log, pi

import numpy as np

from twintier.inmf.episodes import Actions
from twintier.learning.engines.port import Array


class NormalDensity:
    """Log-density of samples under N(outputs, exp(free)^2); see `port.Density`."""

    __slots__ = ("_inverse_std", "_moved_free", "_moved_mean", "_square", "_z", "log_prob")

    def __init__(self, outputs: Array, free: Array, samples: Array) -> None:
        """Compare samples (..., rows, A) with means and deviations."""
        log_std = free[..., None, :]
        self._inverse_std = np.exp(-log_std)
        self._z = (samples - outputs) * self._inverse_std
        self._square = self._z * self._z
        constant = np.add.reduce(log_std, axis=-1) + 0.5 * log(2.0 * pi) * free.shape[-1]
        self.log_prob: Array = -0.5 * np.add.reduce(self._square, axis=-1) - constant

    def write_gradient(self, weight: Array, free_gradient: Array) -> Array:
        """As the port has it."""
        column = weight[..., None]
        np.add.reduce(column * (self._square - 1.0), axis=-2, out=free_gradient)
        gradient: Array = column * self._z
        gradient *= self._inverse_std
        return gradient

    def moved(self, outputs: Array, free: Array) -> Array:
        """As the port has it."""
        self._moved_mean, self._moved_free = outputs, free[..., None, :]
        by_row = self._z * self._inverse_std * outputs + (self._square - 1.0) * self._moved_free
        total: Array = by_row.sum(axis=-1)
        return total

    def write_product(
        self, weight: Array, moved_weight: Array, free_product: Array
    ) -> tuple[Array, Array]:
        """As the port has it; `moved` comes first."""
        column, moved_column = weight[..., None], moved_weight[..., None]
        score, spread = self._z * self._inverse_std, self._square - 1.0
        moved_z = self._moved_mean * self._inverse_std + self._z * self._moved_free
        rows = moved_column * spread - 2.0 * column * self._z * moved_z
        np.add.reduce(rows, axis=-2, out=free_product)
        moved_score = (moved_z + self._z * self._moved_free) * self._inverse_std
        return column * score, moved_column * score - column * moved_score

    def write_entropy(self, coefficient: float, output_gradient: Array, free: Array) -> None:
        """As the port has it: entropy grows with every log_std alike."""
        del output_gradient
        free -= coefficient


class NormalHead(ABC):
    """A Gaussian of each component; see `port.Head`."""

    def __init__(self, width: int) -> None:
        """Take the number of components."""
        self.outputs = self.free = self.width = width

    @abstractmethod
    def action(self, samples: Array) -> Actions:
        """The actions that samples stand for."""

    @abstractmethod
    def warmth(self, outputs: Array) -> float:
        """Factor on outputs that lets a trained policy explore again."""

    def draw(self, rng: np.random.Generator, noise: Array) -> None:
        """As the port has it: standard normal numbers."""
        rng.standard_normal(dtype=np.float32, out=noise)

    def spread(self, noise: Array, free: Array) -> None:
        """As the port has it: one deviation of each component in all states."""
        noise *= np.exp(free)[..., None, None, :]

    def explore(self, outputs: Array, noise: Array) -> Array:
        """As the port has it: means and noise."""
        noise += outputs
        return noise

    def density(self, outputs: Array, free: Array, samples: Array) -> NormalDensity:
        """As the port has it."""
        return NormalDensity(outputs, free, samples)

    def entropy(self, outputs: Array, free: Array) -> float:
        """As the port has it; the same in all states."""
        del outputs
        return float(free.mean()) + 0.5 * log(2.0 * pi * e)
