"""Log-probability of sampled actions under a Gaussian policy, with first and second derivatives.

The policy is N(mean(observation), exp(log_std)^2) for each action component; a component that is
not below 0 means True. log_std is a free parameter, not an output: entropy is then the same in
all states, as in Fig. 6(b).
"""

from collections.abc import Callable
from math import log, pi

import numpy as np

from twintier.inmf.actor import PolicySpec
from twintier.learning.network import (
    Array,
    Layers,
    backward,
    backward_tangent,
    forward,
    forward_tangent,
    layers_of,
)


class Likelihood:
    """One forward pass of a policy over actions that were sampled, ready to be differentiated."""

    def __init__(
        self,
        spec: PolicySpec,
        parameters: Array,
        observations: Array,
        actions: Array,
        *,
        layers: Layers | None = None,
        activations: list[Array] | None = None,
    ) -> None:
        """Run the network.

        Args:
            spec: sizes of the policy.
            parameters: (..., n) flat vector.
            observations: (..., rows, observation_dim).
            actions: (..., rows, action_dim), the continuous samples.
            layers: views of `parameters` if the caller keeps them.
            activations: of the forward pass, if it has been run.
        """
        self._sizes = spec.sizes
        self._parameters = parameters
        self._layers = layers or layers_of(self._sizes, parameters)
        self._activations = activations or forward(self._layers, observations)
        log_std = parameters[..., None, -spec.action_dim :]
        self._inverse_std = np.exp(-log_std)
        self._z = (actions - self._activations[-1]) * self._inverse_std
        self._square = self._z * self._z
        constant = np.add.reduce(log_std, axis=-1) + 0.5 * log(2.0 * pi) * spec.action_dim
        self.log_prob: Array = -0.5 * np.add.reduce(self._square, axis=-1) - constant
        """(..., rows) log-density of each row's actions."""

    def gradient(self, coefficient: Array) -> Array:
        """Gradient of sum(coefficient * log_prob) by the parameters.

        Args:
            coefficient: (..., rows).

        Returns:
            (..., n) flat vector.
        """
        gradient = np.empty_like(self._parameters)
        self.write_gradient(coefficient, gradient, layers_of(self._sizes, gradient))
        return gradient

    def write_gradient(self, coefficient: Array, gradient: Array, layers: Layers) -> None:
        """As `gradient`, into a vector and its views that the caller keeps."""
        weight = coefficient[..., None]
        self._write_log_std(gradient, weight * (self._square - 1.0))
        mean_gradient = weight * self._z
        mean_gradient *= self._inverse_std
        backward(self._layers, self._activations, mean_gradient, layers)

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
        width = self._z.shape[-1]
        tangent = forward_tangent(self._layers, self._activations, layers_of(self._sizes, vector))
        moved_mean, moved_log_std = tangent.activations[-1], vector[..., None, -width:]
        score = self._z * self._inverse_std
        spread = self._square - 1.0
        moved_log_prob = (score * moved_mean + spread * moved_log_std).sum(axis=-1)
        weight, moved_weight = coefficient[..., None], curvature(moved_log_prob)[..., None]
        moved_z = moved_mean * self._inverse_std + self._z * moved_log_std
        product = np.empty_like(self._parameters)
        self._write_log_std(product, moved_weight * spread - 2.0 * weight * self._z * moved_z)
        moved_score = (moved_z + self._z * moved_log_std) * self._inverse_std
        backward_tangent(
            self._layers,
            self._activations,
            tangent,
            (weight * score, moved_weight * score - weight * moved_score),
            layers_of(self._sizes, product),
        )
        return product

    def _write_log_std(self, flat: Array, rows: Array) -> None:
        np.add.reduce(rows, axis=-2, out=flat[..., -rows.shape[-1] :])
