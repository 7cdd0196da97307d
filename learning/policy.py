"""The policy as a flat float32 vector: its start, its means, its entropy and its reheating.

The layout is the one of `inmf.actor`, which runs the same vector on the vehicle.
"""

from math import e, log, pi

import numpy as np
import numpy.typing as npt

from twintier.inmf.actor import PolicySpec
from twintier.inmf.spec import Observation
from twintier.learning.network import Array, forward, layers_of, parameter_count

Vector = npt.NDArray[np.float32]

OUTPUT_GAIN = 0.01
"""Assumed: means start near 0, so each component starts as a fair coin."""


def initial_parameters(spec: PolicySpec, rng: np.random.Generator) -> Vector:
    """A policy that knows nothing: fan-in scaled weights, zero biases, log_std 0.

    Returns:
        (spec.parameters,) float32.
    """
    flat = np.zeros(spec.parameters, np.float32)
    layers = layers_of(spec.sizes, flat)
    for level, (weights, _) in enumerate(layers):
        gain = OUTPUT_GAIN if level == len(layers) - 1 else 1.0
        weights[...] = rng.normal(0.0, gain / np.sqrt(weights.shape[0]), weights.shape)
    return flat


def uniform_parameters(spec: PolicySpec, rng: np.random.Generator) -> Vector:
    """As `initial_parameters`, drawn as torch does: uniform within 1/sqrt(fan-in), biases too.

    Published policy-gradient code starts so; weights are smaller, and learning a little slower.

    Returns:
        (spec.parameters,) float32.
    """
    flat = np.zeros(spec.parameters, np.float32)
    layers = layers_of(spec.sizes, flat)
    for level, (weights, biases) in enumerate(layers):
        gain = OUTPUT_GAIN if level == len(layers) - 1 else 1.0
        limit = gain / np.sqrt(weights.shape[0])
        weights[...] = rng.uniform(-limit, limit, weights.shape)
        biases[...] = rng.uniform(-limit, limit, biases.shape)
    return flat


def head_of(spec: PolicySpec) -> slice:
    """Where the last layer and log_std stand in the flat vector: its end."""
    body = parameter_count(spec.sizes[:-1])
    return slice(body, spec.parameters)


def log_std_of(spec: PolicySpec, parameters: Array) -> Array:
    """View of the logarithms of the standard deviations, (..., action_dim)."""
    return parameters[..., -spec.action_dim :]


def means(spec: PolicySpec, parameters: Array, observations: Observation) -> Array:
    """Mean of each action component.

    Args:
        spec: sizes of the policy.
        parameters: (..., n) flat vector.
        observations: (..., rows, observation_dim) float32.

    Returns:
        (..., rows, action_dim); the greedy action is True where it is not below 0.
    """
    return forward(layers_of(spec.sizes, parameters), observations)[-1]


def entropy(spec: PolicySpec, parameters: Array) -> float:
    """Entropy of the Gaussian, mean over the action components, in nats."""
    return float(log_std_of(spec, parameters).mean()) + 0.5 * log(2.0 * pi * e)


def with_log_std(spec: PolicySpec, parameters: Vector, log_std: float) -> Vector:
    """A copy that explores with this log_std in every component."""
    changed = parameters.copy()
    log_std_of(spec, changed)[...] = log_std
    return changed


def reheated(spec: PolicySpec, parameters: Vector, observations: Observation) -> Vector:
    """A copy that explores again, with the same greedy actions.

    A trained policy has saturated means and little noise left, so gradients cannot move it. The
    output layer is scaled down until the root mean square of the means over `observations` is at
    most 1, and log_std is set to 0; a positive factor on the means leaves their signs alone.

    Args:
        spec: sizes of the policy.
        parameters: (n,) float32.
        observations: (rows, observation_dim) float32 that the policy meets.

    Returns:
        (n,) float32.
    """
    changed = with_log_std(spec, parameters, 0.0)
    mean = means(spec, parameters, observations)
    size = float(np.sqrt(np.mean(np.square(mean, dtype=np.float64))))
    if size > 1.0:
        weights, biases = layers_of(spec.sizes, changed)[-1]
        weights /= np.float32(size)
        biases /= np.float32(size)
    return changed
