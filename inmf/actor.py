"""The policy as a vehicle runs it: a small network in numpy, acting greedily or exploring.

A policy is one flat float32 vector: for each layer, input side first, the weights (inputs x
outputs, row by row) and then the biases; after the last layer the head's own numbers, which for a
Gaussian are one log standard deviation of each component. Hidden layers are tanh. Only the paper's
loop on true trajectories explores on a vehicle; else learning explores, and the vehicle does not.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from math import log, pi

import numpy as np
import numpy.typing as npt

from twintier.inmf.episodes import Actions
from twintier.inmf.spec import (
    ActionSpace,
    Box,
    Discrete,
    Head,
    InmfSpec,
    Mlp,
    MultiBinary,
    Observation,
    TorchModule,
)
from twintier.inmf.trajectory import ShapeError

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """Sizes of a policy."""

    observation_dim: int
    actions: ActionSpace
    network: Mlp | TorchModule = field(default_factory=Mlp)

    @classmethod
    def of(cls, spec: InmfSpec) -> "PolicySpec":
        """The policy that an INMF declares."""
        return cls(spec.observation_dim, spec.actions, spec.network)

    @property
    def action_dim(self) -> int:
        """Numbers of one action."""
        return self.actions.width

    @property
    def head(self) -> Head:
        """How outputs become actions."""
        match self.actions:
            case MultiBinary():
                return "thresholded_gaussian"
            case Discrete():
                return "categorical"
            case Box():
                return "gaussian"

    @property
    def outputs(self) -> int:
        """Outputs of the network: a mean of each component, or a logit of each choice."""
        return self.actions.choices if isinstance(self.actions, Discrete) else self.actions.width

    @property
    def free(self) -> int:
        """Numbers of the head at the end of the flat vector: log standard deviations."""
        return 0 if isinstance(self.actions, Discrete) else self.actions.width

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each layer of the built-in network, input and output included.

        Raises:
            ShapeError: if the network is the INMF's own, which only an engine can load.
        """
        if isinstance(self.network, TorchModule):
            raise ShapeError(f"layers of {self.network.path} are known to its engine only")
        return (self.observation_dim, *self.network.hidden, self.outputs)

    @property
    def parameters(self) -> int:
        """Length of the flat vector of a policy on the built-in network.

        Raises:
            ShapeError: as `sizes`.
        """
        weights = sum(before * after + after for before, after in pairwise(self.sizes))
        return weights + self.free

    @property
    def schema_id(self) -> str:
        """Names the layout on the wire and on disk."""
        kind = {"thresholded_gaussian": "gaussian", "gaussian": "box", "categorical": "categorical"}
        if isinstance(self.network, TorchModule):
            layers = f"{self.observation_dim}-{self.network.path}-{self.outputs}"
            return f"{kind[self.head]}-torch/{layers}/v1"
        return f"{kind[self.head]}-mlp/{'-'.join(str(size) for size in self.sizes)}/v1"


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
        self._log_std = flat[start:]

    def outputs(self, observation: Observation) -> Floats:
        """Outputs of the network, (..., outputs), of observations (..., observation_dim)."""
        signal: Floats = observation
        for weights, biases in self._layers[:-1]:
            signal = np.tanh(signal @ weights + biases)
        weights, biases = self._layers[-1]
        return np.asarray(signal @ weights + biases, np.float32)

    def _finite_outputs(self, observation: Observation) -> Floats:
        """The outputs; of NaN, an action would be made that nobody chose."""
        outputs = self.outputs(observation)
        if not np.isfinite(outputs).all():
            raise ValueError(f"outputs of {self.spec.schema_id} hold NaN or infinity")
        return outputs

    def act(self, observation: Observation) -> Actions:
        """Greedy actions, (..., action_dim), of observations (..., observation_dim).

        Raises:
            ValueError: if an output is not finite.
        """
        outputs = self._finite_outputs(observation)
        if isinstance(self.spec.actions, Discrete):
            outputs = most_likely(outputs)
        return action_of(self.spec.actions, outputs)

    def sample(
        self, observation: Observation, rng: np.random.Generator
    ) -> tuple[Actions, Floats, Floats]:
        """Explore.

        Args:
            observation: (..., observation_dim) float32.
            rng: the only source of randomness.

        Returns:
            The action (..., action_dim), the sample that it was made of (..., action_dim) float32
            and the sample's log-probability (...) float32.

        Raises:
            ValueError: if an output is not finite.
        """
        outputs = self._finite_outputs(observation)
        if isinstance(self.spec.actions, Discrete):
            noise = rng.gumbel(size=outputs.shape).astype(np.float32)
            sample = most_likely(outputs + noise)
            top = outputs.max(axis=-1, keepdims=True)
            total = top[..., 0] + np.log(np.exp(outputs - top).sum(axis=-1))
            chosen = np.take_along_axis(outputs, sample.astype(np.int64), axis=-1)[..., 0]
            log_prob = chosen - total
        else:
            noise = rng.standard_normal(outputs.shape, np.float32)
            sample = outputs + noise * np.exp(self._log_std)
            constant = self._log_std.sum() + 0.5 * log(2.0 * pi) * outputs.shape[-1]
            log_prob = -0.5 * (noise * noise).sum(axis=-1) - constant
        return action_of(self.spec.actions, sample), sample, np.asarray(log_prob, np.float32)


def most_likely(logits: npt.NDArray[np.floating]) -> Floats:
    """Index of the largest of (..., choices), (..., 1) float32: a sample of a categorical head."""
    return np.asarray(logits.argmax(axis=-1)[..., None], np.float32)


def action_of(space: ActionSpace, sample: npt.NDArray[np.floating]) -> Actions:
    """The action that a sample (..., action_dim) stands for.

    True where it is not below 0; the index itself; or, in half ranges from the middle of its
    limits, a number clipped to them. A number without a limit on a side is the sample itself.
    """
    match space:
        case MultiBinary():
            return np.asarray(sample >= 0.0)
        case Discrete():
            return sample.astype(np.int64)
        case Box():
            low, high = np.asarray(space.low), np.asarray(space.high)
            bounded = np.isfinite(low) & np.isfinite(high)
            bottom, top = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
            middle, half = 0.5 * bottom + 0.5 * top, 0.5 * top - 0.5 * bottom
            clipped = np.clip(middle + half * sample, low, high)
            return np.asarray(clipped, np.float32)
