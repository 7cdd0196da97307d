"""The port of heads: sampling, and log-probabilities with two derivatives by outputs.

A head's own numbers (`free`) stand behind the network's in a policy's flat vector. All arrays may
have leading axes (twins): outputs (..., rows, outputs), free (..., free), samples (..., rows, A).
What an inner step needs beside the network is here, so that any engine serves any head.
"""

from typing import Protocol

import numpy as np

from twintier.inmf.episodes import Actions
from twintier.learning.engines.port import Array


class Density(Protocol):
    """Log-probabilities of samples at some outputs, ready to be differentiated."""

    @property
    def log_prob(self) -> Array:
        """(..., rows)."""
        ...

    def write_gradient(self, weight: Array, free_gradient: Array) -> Array:
        """Gradient of sum(weight * log_prob).

        Args:
            weight: (..., rows).
            free_gradient: (..., free), overwritten with the gradient by the head's own numbers.

        Returns:
            (..., rows, outputs) gradient by the outputs.
        """
        ...

    def moved(self, outputs: Array, free: Array) -> Array:
        """Derivative of log_prob along a direction.

        Args:
            outputs: (..., rows, outputs) derivative of the outputs along it.
            free: (..., free) its part of the head's own numbers.
        """
        ...

    def write_product(
        self, weight: Array, moved_weight: Array, free_product: Array
    ) -> tuple[Array, Array]:
        """Derivative of `write_gradient`'s results along the direction of the last `moved`.

        Args:
            weight: (..., rows).
            moved_weight: (..., rows) its own derivative along the direction.
            free_product: (..., free), overwritten.

        Returns:
            `write_gradient`'s (..., rows, outputs), and its derivative along the direction.
        """
        ...

    def write_entropy(self, coefficient: float, output_gradient: Array, free: Array) -> None:
        """Subtract coefficient times the gradient of the rows' mean entropy from both, in place."""
        ...


class Head(Protocol):
    """A distribution over the actions of one space."""

    @property
    def outputs(self) -> int:
        """Outputs of the network."""
        ...

    @property
    def free(self) -> int:
        """Numbers of its own at the end of the flat vector; 0 before any learning."""
        ...

    @property
    def width(self) -> int:
        """Numbers of a sample, and of an action."""
        ...

    def draw(self, rng: np.random.Generator, noise: Array) -> None:
        """Fill noise (..., outputs) float32; zeros stand for greedy actions."""
        ...

    def spread(self, noise: Array, free: Array) -> None:
        """Give noise (..., episodes, slots, outputs) the size that free (..., free) says."""
        ...

    def explore(self, outputs: Array, noise: Array) -> Array:
        """Samples (..., A) of outputs (..., outputs) and noise alike, which may be overwritten."""
        ...

    def action(self, samples: Array) -> Actions:
        """The actions (..., A) that samples (..., A) stand for."""
        ...

    def density(self, outputs: Array, free: Array, samples: Array) -> Density:
        """Log-probabilities of samples."""
        ...

    def entropy(self, outputs: Array, free: Array) -> float:
        """Mean over rows and components, in nats."""
        ...

    def warmth(self, outputs: Array) -> float:
        """Factor on outputs (..., rows, outputs) that lets a trained policy explore again.

        At most 1, and greedy actions stay as they are.
        """
        ...
