"""The policy as the vehicle runs it: a small network in numpy, acting by its mean.

A policy is one flat float32 vector: for each layer, input side first, the weights (inputs x
outputs, row by row) and then the biases; after the last layer one log standard deviation per
action. Hidden layers are tanh. Learning explores with the deviations, the vehicle does not.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from twintier.inmf.spec import Observation
from twintier.inmf.trajectory import Mask, ShapeError

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """Sizes of a policy."""

    observation_dim: int
    action_dim: int
    hidden: tuple[int, ...] = (64, 64)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each layer, input and output included."""
        return (self.observation_dim, *self.hidden, self.action_dim)

    @property
    def parameters(self) -> int:
        """Length of the flat vector."""
        weights = sum(before * after + after for before, after in pairwise(self.sizes))
        return weights + self.action_dim

    @property
    def schema_id(self) -> str:
        """Names the layout on the wire and on disk."""
        return f"gaussian-mlp/{'-'.join(str(size) for size in self.sizes)}/v1"


class Actor:
    """A policy ready to act."""

    def __init__(self, spec: PolicySpec, parameters: Floats) -> None:
        """Take the layers out of the flat vector.

        Raises:
            ShapeError: if the vector has not the length of the spec.
            ValueError: if a number is not finite.
        """
        flat = np.array(parameters, np.float32)
        if flat.shape != (spec.parameters,):
            raise ShapeError(
                f"parameters {flat.shape} must be ({spec.parameters},) for {spec.schema_id}"
            )
        if not np.isfinite(flat).all():
            raise ValueError(f"parameters of {spec.schema_id} hold NaN or infinity")
        self.spec = spec
        self._layers: list[tuple[Floats, Floats]] = []
        start = 0
        for before, after in pairwise(spec.sizes):
            weights = flat[start : start + before * after].reshape(before, after)
            start += before * after
            self._layers.append((weights, flat[start : start + after]))
            start += after

    def mean(self, observation: Observation) -> Floats:
        """Means of the actions, (..., action_dim), of observations (..., observation_dim)."""
        signal: Floats = observation
        for weights, biases in self._layers[:-1]:
            signal = np.tanh(signal @ weights + biases)
        weights, biases = self._layers[-1]
        return np.asarray(signal @ weights + biases, np.float32)

    def modes(self, observation: Observation) -> Mask:
        """Greedy modes, (..., action_dim): CP where the mean is not below 0."""
        return np.asarray(self.mean(observation) >= 0.0)
