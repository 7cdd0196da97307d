"""What the cloud twin does with gradients: refuse, average in PLVN-id order, take one Adam step.

numpy only, so that no cloud twin needs torch for it. The order of arrival never matters: rows are
taken in the order of their ids, so the same rows give the same bits.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from math import sqrt
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from twintier.learning.errors import NumericsError, SettingsError

Vector = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating]
Real = TypeVar("Real", npt.NDArray[np.float32], npt.NDArray[np.float64], Floats)

OUTLIER_FACTOR = 50.0
"""Assumed: a norm this many times the median is a fault, not a hard task (honest norms differ by
less than ten times in the case study)."""
OUTLIER_ROWS = 4
"""Assumed: with fewer rows a median does not tell who is the outlier."""


def average_gradients(rows: Mapping[str, Vector]) -> tuple[Vector, dict[str, str]]:
    """Mean of the rows that can be trusted, and why the others were refused.

    Args:
        rows: gradient of each PLVN, (n,) float32 each; ids decide the order.

    Returns:
        The mean, (n,) float32 (zeros if every row was refused), and the reasons by id.

    Raises:
        SettingsError: if there is no row at all.
    """
    return combined(rows, lambda kept: np.asarray(np.mean(kept, axis=0)))


def combined(
    rows: Mapping[str, Vector], combine: Callable[[Doubles], Doubles]
) -> tuple[Vector, dict[str, str]]:
    """What `combine` makes of the rows that can be trusted, and why the others were refused.

    Args:
        rows: gradient of each PLVN, (n,) float32 each; ids decide the order.
        combine: from (rows, n) float64 to (n,).

    Returns:
        (n,) float32 (zeros if every row was refused), and the reasons by id.

    Raises:
        SettingsError: if there is no row at all.
    """
    if not rows:
        raise SettingsError("no gradient rows to average; wait for at least one twin")
    ids = sorted(rows)
    length = _usual_length(rows)
    refused: dict[str, str] = {}
    for plvn in ids:
        if rows[plvn].shape != (length,):
            refused[plvn] = f"shape {rows[plvn].shape}, expected ({length},)"
        elif not np.isfinite(rows[plvn]).all():
            refused[plvn] = "a number is not finite"
    refused |= _outliers({plvn: rows[plvn] for plvn in ids if plvn not in refused})
    kept = [rows[plvn].astype(np.float64) for plvn in ids if plvn not in refused]
    if not kept:
        return np.zeros(length, np.float32), refused
    return combine(np.stack(kept)).astype(np.float32), refused


def _usual_length(rows: Mapping[str, Vector]) -> int:
    lengths = [row.size for row in rows.values()]
    return max(sorted(set(lengths)), key=lengths.count)


def _outliers(rows: Mapping[str, Vector]) -> dict[str, str]:
    if len(rows) < OUTLIER_ROWS:
        return {}
    norms = {plvn: float(np.linalg.norm(row.astype(np.float64))) for plvn, row in rows.items()}
    limit = OUTLIER_FACTOR * float(np.median(list(norms.values())))
    return {
        plvn: f"norm {norm:.3g} above {limit:.3g}, {OUTLIER_FACTOR:g} times the median"
        for plvn, norm in norms.items()
        if norm > limit > 0
    }


@dataclass(slots=True)
class Adam:
    """Adam on one flat vector (Kingma and Ba, arXiv 1412.6980, algorithm 1)."""

    learning_rate: float
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    steps: int = 0
    mean: Floats | None = None
    square: Floats | None = None
    _scratch: Floats | None = field(default=None, repr=False)

    def step(self, values: Real, gradient: Real) -> Real:
        """New values after one step down `gradient`; the arguments stay as they are."""
        moved = values.copy()
        self.step_in_place(moved, gradient)
        return moved

    def step_in_place(self, values: Floats, gradient: Floats) -> None:
        """Step `values` itself, without allocating anything but at the first call."""
        if self.mean is None or self.square is None:
            self.mean, self.square = np.zeros_like(values), np.zeros_like(values)
        if self._scratch is None:
            self._scratch = np.empty_like(values)
        scratch = self._scratch
        self.steps += 1
        np.subtract(gradient, self.mean, out=scratch)
        scratch *= 1.0 - self.beta1
        self.mean += scratch
        np.multiply(gradient, gradient, out=scratch)
        scratch -= self.square
        scratch *= 1.0 - self.beta2
        self.square += scratch
        correction = sqrt(1.0 - self.beta2**self.steps)
        np.sqrt(self.square, out=scratch)
        scratch += self.epsilon * correction
        np.divide(self.mean, scratch, out=scratch)
        scratch *= self.learning_rate * correction / (1.0 - self.beta1**self.steps)
        values -= scratch


@dataclass(slots=True)
class MetaOptimizer:
    """The outer step: Adam on meta parameters, logarithms of the step sizes, and the prior."""

    learning_rate: float = 1e-3
    """Step size of the meta parameters (beta)."""
    step_size_learning_rate: float = 3e-2
    """Step size of the logarithms of the inner step sizes (alpha)."""
    prior_learning_rate: float = 3e-3
    """Step size of the prior, as in training on a mixture."""
    decay_steps: int = 0
    """Steps over which all rates fall linearly to a fifth; 0 keeps them."""
    parameters_adam: Adam = field(init=False)
    step_sizes_adam: Adam = field(init=False)
    prior_adam: Adam = field(init=False)

    def __post_init__(self) -> None:
        """Start all optimisers without memory."""
        self.parameters_adam = Adam(self.learning_rate)
        self.step_sizes_adam = Adam(self.step_size_learning_rate)
        self.prior_adam = Adam(self.prior_learning_rate)

    def step(
        self,
        parameters: Vector,
        log_step_sizes: Vector,
        gradient: Vector,
        step_size_gradient: Vector,
    ) -> tuple[Vector, Vector]:
        """One step of both; nothing changes if a number is, or becomes, not finite.

        Args:
            parameters: (n,) float32 meta parameters.
            log_step_sizes: (n,) float32 logarithms of the inner step sizes.
            gradient: (n,) float32 mean gradient of the adaptation loss by the parameters.
            step_size_gradient: (n,) float32, by the logarithms of the step sizes; zeros keep them.

        Returns:
            New parameters and new logarithms of the step sizes.

        Raises:
            NumericsError: if a gradient or a result is not finite; the optimiser's memory stays as
                it was.
        """
        _refuse(gradient, "gradient")
        _refuse(step_size_gradient, "step_size_gradient")
        factor = self._factor(self.parameters_adam)
        self.parameters_adam.learning_rate = self.learning_rate * factor
        self.step_sizes_adam.learning_rate = self.step_size_learning_rate * factor
        first, second = deepcopy(self.parameters_adam), deepcopy(self.step_sizes_adam)
        with np.errstate(over="ignore", invalid="ignore"):
            stepped = first.step(parameters, gradient)
            logarithms = second.step(log_step_sizes, step_size_gradient)
        results = (stepped, first.square, logarithms, second.square)
        if not all(np.isfinite(each).all() for each in results if each is not None):
            raise NumericsError("the outer step leaves the finite numbers; the meta model stays")
        self.parameters_adam, self.step_sizes_adam = first, second
        return stepped, logarithms

    def step_prior(self, prior: Vector, gradient: Vector) -> Vector:
        """One step of the prior; nothing changes if a number is, or becomes, not finite.

        Args:
            prior: (n,) float32, trained on the mixture of its category.
            gradient: (n,) float32 mean of the twins' prior gradients.

        Raises:
            NumericsError: if the gradient or the result is not finite; memory stays as it was.
        """
        _refuse(gradient, "prior gradient")
        adam = deepcopy(self.prior_adam)
        adam.learning_rate = self.prior_learning_rate * self._factor(adam)
        with np.errstate(over="ignore", invalid="ignore"):
            stepped = adam.step(prior, gradient)
        results = (stepped, adam.square)
        if not all(np.isfinite(each).all() for each in results if each is not None):
            raise NumericsError("the prior's step leaves the finite numbers; the prior stays")
        self.prior_adam = adam
        return stepped

    def _factor(self, adam: Adam) -> float:
        """What is left of a rate after the steps that an optimiser has taken."""
        if not self.decay_steps:
            return 1.0
        return 1.0 - 0.8 * min(adam.steps / self.decay_steps, 1.0)

    def state(self) -> dict[str, Floats]:
        """Memory as named arrays, for a file beside the meta model; empty before a step."""
        state: dict[str, Floats] = {}
        for name, adam in self._adams():
            if adam.mean is not None and adam.square is not None:
                state[f"{name}.mean"] = adam.mean.copy()
                state[f"{name}.square"] = adam.square.copy()
                state[f"{name}.steps"] = np.array([adam.steps], np.float64)
        return state

    def restore(self, state: Mapping[str, Floats]) -> None:
        """Take over what `state` returned, so that training goes on as if never stopped."""
        for name, adam in self._adams():
            if f"{name}.mean" in state:
                adam.mean = state[f"{name}.mean"].copy()
                adam.square = state[f"{name}.square"].copy()
                adam.steps = int(state[f"{name}.steps"][0])

    def _adams(self) -> tuple[tuple[str, Adam], ...]:
        return (
            ("parameters", self.parameters_adam),
            ("step_sizes", self.step_sizes_adam),
            ("prior", self.prior_adam),
        )


def _refuse(gradient: Vector, name: str) -> None:
    if not np.isfinite(gradient).all():
        raise NumericsError(f"the mean {name} is not finite; the meta model stays")
