"""Log-probability of samples under a policy, with first and second derivatives.

A network behind its port carries derivatives by outputs back to the flat vector; a head gives
log-probabilities and their derivatives by outputs and by its own numbers. Here both meet.
"""

from collections.abc import Callable

import numpy as np

from twintier.learning.engines.port import Array, Pass
from twintier.learning.policy import Policy


class Likelihood:
    """One forward pass of a policy over samples, ready to be differentiated."""

    def __init__(
        self,
        policy: Policy,
        parameters: Array,
        observations: Array,
        samples: Array,
        *,
        forward: Pass | None = None,
    ) -> None:
        """Run the network.

        Args:
            policy: network and head.
            parameters: (..., n) flat vector.
            observations: (..., rows, observation_dim).
            samples: (..., rows, A), what the head's actions were made of.
            forward: the pass over the same observations, if it has been run.
        """
        self._policy, self._parameters = policy, parameters
        self._pass = forward or policy.network.run(parameters, observations)
        free = policy.free(parameters)
        self._density = policy.head.density(self._pass.outputs, free, samples)

    @property
    def log_prob(self) -> Array:
        """(..., rows) of each row's sample."""
        return self._density.log_prob

    def gradient(self, coefficient: Array) -> Array:
        """Gradient of sum(coefficient * log_prob) by the parameters.

        Args:
            coefficient: (..., rows).

        Returns:
            (..., n) flat vector.
        """
        gradient = np.empty_like(self._parameters)
        self.write_gradient(coefficient, gradient)
        return gradient

    def write_gradient(self, coefficient: Array, gradient: Array, entropy: float = 0.0) -> None:
        """As `gradient`, into a vector that the caller keeps.

        Args:
            coefficient: (..., rows).
            gradient: (..., n), overwritten.
            entropy: how much of the gradient of the mean entropy is subtracted.
        """
        free = self._policy.free(gradient)
        by_output = self._density.write_gradient(coefficient, free)
        if entropy:
            self._density.write_entropy(entropy, by_output, free)
        self._pass.write_gradient(by_output, gradient)

    def hessian_vector(
        self, coefficient: Array, vector: Array, curvature: Callable[[Array], Array]
    ) -> Array:
        """Product of a loss's Hessian by a vector, without ever forming the Hessian.

        Args:
            coefficient: (..., rows) derivative of the loss by each row's log-probability.
            vector: (..., n) direction.
            curvature: from the change of log_prob along the direction, (..., rows), to the
                change of `coefficient`.

        Returns:
            (..., n) flat vector.
        """
        moved = self._density.moved(self._pass.tangent(vector), self._policy.free(vector))
        product = np.empty_like(self._parameters)
        by_output, moved_by_output = self._density.write_product(
            coefficient, curvature(moved), self._policy.free(product)
        )
        self._pass.write_product(vector, by_output, moved_by_output, product)
        return product
