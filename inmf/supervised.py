"""What an INMF states that learns from labelled data instead of rewards, beside the contract.

A predictor, say: its network's outputs are held to targets by a loss of its own, and its true slots
are the data. It takes part in meta training as any other INMF does.
"""

from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from twintier.inmf.contract import Columns
from twintier.inmf.spec import InmfSpec

Reals = npt.NDArray[np.floating]
Labelled = tuple[Reals, Reals]
"""Inputs (..., rows, observation_dim) and targets (..., rows, outputs)."""


class Loss(Protocol):
    """How wrong outputs are, twice differentiable by them."""

    def value(self, outputs: Reals, targets: Reals) -> Reals:
        """(...) mean over rows and outputs of (..., rows, outputs)."""
        ...

    def gradient(self, outputs: Reals, targets: Reals) -> Reals:
        """(..., rows, outputs) derivative of `value` by the outputs."""
        ...

    def moved(self, outputs: Reals, targets: Reals, direction: Reals) -> Reals:
        """(..., rows, outputs) derivative of `gradient` along a direction of the outputs."""
        ...


class SquaredError:
    """Mean squared error."""

    def value(self, outputs: Reals, targets: Reals) -> Reals:
        """As the protocol has it."""
        mean: Reals = np.mean((outputs - targets) ** 2, axis=(-2, -1))
        return mean

    def gradient(self, outputs: Reals, targets: Reals) -> Reals:
        """As the protocol has it."""
        scale = 2.0 / (outputs.shape[-1] * outputs.shape[-2])
        slope: Reals = scale * (outputs - targets)
        return slope

    def moved(self, outputs: Reals, targets: Reals, direction: Reals) -> Reals:
        """As the protocol has it."""
        del targets
        scale = 2.0 / (outputs.shape[-1] * outputs.shape[-2])
        bent: Reals = scale * direction
        return bent


@runtime_checkable
class SupervisedInmf(Protocol):
    """An INMF that learns from labelled data; its action is what its network says."""

    spec: InmfSpec

    @property
    def loss(self) -> Loss:
        """What its network is held to."""
        ...

    def samples(self, true: Columns) -> Labelled:
        """Rows in order of time, made of true slots: (rows, observation_dim) and (rows, outputs).

        There may be fewer rows than slots, where a target lies some slots ahead.
        """
        ...
