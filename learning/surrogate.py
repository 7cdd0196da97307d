"""Losses whose value, gradient and Hessian stand for those of the expected return.

A surrogate is a function of the log-probabilities of sampled actions. At the parameters that
sampled them all three have the same gradient; they differ in the Hessian, which is what
second-order MAML uses. `log` is shipped to show that it is wrong: its Hessian is zero in
expectation.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from twintier.learning.engines.port import Array

Surrogate = Literal["ratio", "dice", "log"]


def coefficient(advantage: Array) -> Array:
    """Derivative of the loss -mean(advantage) by each log-probability, at the old parameters.

    Args:
        advantage: (..., episodes, slots).

    Returns:
        (..., episodes, slots).
    """
    weight: Array = advantage * (-1.0 / (advantage.shape[-1] * advantage.shape[-2]))
    return weight


def curvature(kind: Surrogate, weight: Array) -> Callable[[Array], Array]:
    """How the coefficients change when the log-probabilities do.

    `ratio` is sum of A_t exp(l_t - old_t): exact where states are exogenous. `dice` is sum of
    A_t (exp(L_t) - exp(L_{t-1})) with L_t the running sum of l - old (Farquhar et al.,
    arXiv 1909.10549, with all weights 1): exact for any Markov decision process.

    Args:
        kind: which surrogate.
        weight: (..., episodes, slots) from `coefficient`.

    Returns:
        A linear function of (..., episodes, slots).
    """
    if kind == "ratio":
        return lambda moved: weight * moved
    if kind == "dice":
        return lambda moved: weight * np.cumsum(moved, axis=-1) + _after(weight * moved)
    return np.zeros_like


def _after(values: Array) -> Array:
    """Sum of the slots after each slot."""
    total: Array = np.flip(np.cumsum(np.flip(values, -1), axis=-1), -1) - values
    return total
