"""A policy of learning: a network behind its port, a head, and one flat float32 vector.

The vector holds the network's numbers, then the head's own; in the layout of `inmf.actor`, which
runs the same vector on the vehicle. Here are its start, its outputs, its entropy and its reheating.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twintier.inmf.actor import PolicySpec
from twintier.inmf.spec import InmfSpec, Mask, Observation
from twintier.learning.engines.numpy import OUTPUT_GAIN
from twintier.learning.engines.port import Array, Network
from twintier.learning.engines.select import network_of
from twintier.learning.heads.port import Head
from twintier.learning.heads.select import head_for
from twintier.learning.network import layers_of

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """What learning functions work on; the numbers come with each call."""

    spec: PolicySpec
    network: Network
    head: Head

    @classmethod
    def of(cls, spec: PolicySpec | InmfSpec, device: str = "cpu") -> "Policy":
        """The policy that a spec declares.

        Args:
            spec: sizes, actions and network.
            device: where torch computes, if the network is a torch module.

        Raises:
            SettingsError: if the network or the device cannot be had here.
        """
        sizes = PolicySpec.of(spec) if isinstance(spec, InmfSpec) else spec
        head = head_for(sizes.actions)
        network = network_of(sizes.network, sizes.observation_dim, head.outputs, device)
        return cls(sizes, network, head)

    @property
    def parameters(self) -> int:
        """Length of the flat vector."""
        return self.network.parameters + self.head.free

    def free(self, parameters: Array) -> Array:
        """View of the head's own numbers, (..., free)."""
        return parameters[..., self.network.parameters :]

    @property
    def adapts(self) -> Mask:
        """(parameters,): what ANIL adapts, the last layer and the head's own numbers."""
        chosen = np.zeros(self.parameters, bool)
        chosen[self.network.last_layer] = True
        chosen[self.network.parameters :] = True
        return chosen


def initial_parameters(policy: Policy, rng: np.random.Generator) -> Vector:
    """A policy that knows nothing, and whose head's own numbers are 0.

    Returns:
        (policy.parameters,) float32.
    """
    flat = np.zeros(policy.parameters, np.float32)
    flat[: policy.network.parameters] = policy.network.initial(rng)
    return flat


def uniform_parameters(policy: Policy, rng: np.random.Generator) -> Vector:
    """As `initial_parameters` of the built-in network, drawn as torch does.

    Uniform within 1/sqrt(fan-in), biases too: published policy-gradient code starts so; weights
    are smaller, and learning a little slower.

    Returns:
        (policy.parameters,) float32.

    Raises:
        ShapeError: if the network is not the built-in one.
    """
    flat = np.zeros(policy.parameters, np.float32)
    layers = layers_of(policy.spec.sizes, flat)
    for level, (weights, biases) in enumerate(layers):
        gain = OUTPUT_GAIN if level == len(layers) - 1 else 1.0
        limit = gain / np.sqrt(weights.shape[0])
        weights[...] = rng.uniform(-limit, limit, weights.shape)
        biases[...] = rng.uniform(-limit, limit, biases.shape)
    return flat


def outputs_of(policy: Policy, parameters: Array, observations: Observation) -> Array:
    """Outputs of the network: means of a Gaussian, logits of choices.

    Args:
        policy: network and head.
        parameters: (..., n) flat vector.
        observations: (..., rows, observation_dim) float32.

    Returns:
        (..., rows, outputs).
    """
    return policy.network.run(parameters, observations).outputs


def entropy(policy: Policy, parameters: Array, observations: Observation) -> float:
    """Entropy on observations (rows, observation_dim), mean over rows and components, in nats."""
    outputs = outputs_of(policy, parameters, observations)
    return policy.head.entropy(outputs, policy.free(parameters))


def with_free(policy: Policy, parameters: Vector, value: float) -> Vector:
    """A copy whose head's own numbers (log_std) all have this value."""
    changed = parameters.copy()
    policy.free(changed)[...] = value
    return changed


def reheated(policy: Policy, parameters: Vector, observations: Observation) -> Vector:
    """A copy that explores again, with the same greedy actions.

    A trained policy has saturated outputs and little noise left, so gradients cannot move it. The
    output layer is scaled down as the head says, and its own numbers (log_std) are set to 0.

    Args:
        policy: network and head.
        parameters: (n,) float32.
        observations: (rows, observation_dim) float32 that the policy meets.

    Returns:
        (n,) float32.
    """
    changed = with_free(policy, parameters, 0.0)
    factor = policy.head.warmth(outputs_of(policy, parameters, observations))
    if factor < 1.0:
        policy.network.scale_outputs(changed, factor)
    return changed
