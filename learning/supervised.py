"""Meta learning of regressions: the mathematics of `learning.meta` with a supervised loss.

Some functions are learned from labelled data, not from rewards (a predictor, say). Inner steps and
the outer gradient are the same; only the loss is another one, the mean squared error.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twintier.learning.engines.port import Array, Network, Pass
from twintier.learning.errors import NumericsError
from twintier.learning.meta import MetaSettings, backpropagate
from twintier.learning.surrogate import Surrogate

Labelled = tuple[Array, Array]
"""Inputs (tasks, rows, in) and targets (tasks, rows, out)."""


@dataclass(frozen=True, slots=True)
class RegressionStep:
    """The squared error of each task on one set of labelled data, ready to be differentiated."""

    forward: Pass
    error: Array
    """(tasks, rows, out): output less target."""
    gradient: Array
    """(tasks, n)."""

    @property
    def loss(self) -> Array:
        """(tasks,) mean squared error."""
        mean: Array = np.mean(self.error * self.error, axis=(-2, -1))
        return mean

    def hessian_vector(self, vector: Array, _kind: Surrogate = "ratio") -> Array:
        """Product of the loss's Hessian by `vector`, (tasks, n)."""
        moved = self.forward.tangent(vector)
        scale = 2.0 / (self.error.shape[-1] * self.error.shape[-2])
        product = np.empty_like(vector)
        self.forward.write_product(vector, scale * self.error, scale * moved, product)
        return product


def regression_step(network: Network, parameters: Array, data: Labelled) -> RegressionStep:
    """Differentiate the squared error.

    Args:
        network: its outputs are the regression's.
        parameters: (tasks, n) flat vectors.
        data: labelled data of each task.
    """
    inputs, targets = data
    forward = network.run(parameters, inputs)
    error = forward.outputs - targets
    scale = 2.0 / (error.shape[-1] * error.shape[-2])
    gradient = np.empty_like(parameters)
    forward.write_gradient(scale * error, gradient)
    return RegressionStep(forward, error, gradient)


def regression_gradients(
    network: Network,
    parameters: Array,
    log_step_sizes: Array,
    rounds: Sequence[Labelled],
    settings: MetaSettings,
) -> tuple[Array, Array, Array]:
    """Gradients of each task's adaptation loss by the meta parameters.

    Args:
        network: its outputs are the regression's.
        parameters: (n,) meta parameters.
        log_step_sizes: (n,) logarithms of the inner step sizes.
        rounds: data of each inner step, then those of the adaptation loss.
        settings: algorithm, and whether step sizes are learned.

    Returns:
        (tasks, n) by the parameters, (tasks, n) by the logarithms, (tasks,) adaptation loss.

    Raises:
        NumericsError: if a gradient is not finite.
    """
    step_sizes = np.exp(log_step_sizes)
    current = np.repeat(parameters[None], rounds[0][0].shape[0], axis=0)
    steps: list[RegressionStep] = []
    outer: dict[int, Array] = {}
    for taken, data in enumerate(rounds[:-1]):
        if settings.judged == "every" and taken:
            outer[taken] = regression_step(network, current, rounds[-1]).gradient
        steps.append(regression_step(network, current, data))
        current = current - step_sizes * steps[-1].gradient
    last = regression_step(network, current, rounds[-1])
    outer[len(steps)] = last.gradient
    gradient, by_step_size = backpropagate(steps, outer, step_sizes, settings)
    if not np.isfinite(gradient).all():
        raise NumericsError("an adaptation gradient is not finite; lower the step sizes")
    return gradient, by_step_size, last.loss
