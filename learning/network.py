"""A tanh network on one flat vector: forward, reverse and their directional derivatives.

Here is only the network; likelihoods and losses are elsewhere. The layout is weights (in, out) in
row-major order, then biases (out,), layer by layer. Every function takes any number of leading
axes (twins), so one call serves one network or many. The formulas are written out because
autograd costs several times the arithmetic at this size; tests hold them to autograd.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
Layers = list[tuple[Array, Array]]


def parameter_count(sizes: Sequence[int]) -> int:
    """Numbers in the flat vector of a network with these layer sizes."""
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))


def layers_of(sizes: Sequence[int], flat: Array) -> Layers:
    """Views of the weights and biases of each layer.

    Args:
        sizes: units of input, hidden and output layers.
        flat: (..., n) with n at least `parameter_count(sizes)`; the rest is left alone.

    Returns:
        (weights (..., in, out), biases (..., 1, out)) of each layer.
    """
    layers: Layers = []
    start = 0
    for fan_in, fan_out in pairwise(sizes):
        middle, end = start + fan_in * fan_out, start + (fan_in + 1) * fan_out
        weights = flat[..., start:middle].reshape(*flat.shape[:-1], fan_in, fan_out)
        layers.append((weights, flat[..., None, middle:end]))
        start = end
    return layers


def orthogonalise(layers: Layers, output_gain: float, rng: np.random.Generator) -> None:
    """Fill layers as Stable-Baselines3 does: orthogonal weights, zero biases.

    Args:
        layers: views of one flat vector; overwritten.
        output_gain: of the last layer; hidden layers have the square root of 2.
        rng: source of the directions.
    """
    for level, (weights, biases) in enumerate(layers):
        fan_in, fan_out = weights.shape
        tall = rng.normal(size=(max(fan_in, fan_out), min(fan_in, fan_out)))
        columns, triangle = np.linalg.qr(tall)
        columns *= np.sign(np.diag(triangle))
        gain = output_gain if level == len(layers) - 1 else np.sqrt(2.0)
        weights[...] = gain * (columns if fan_in >= fan_out else columns.T)
        biases[...] = 0.0


def forward(layers: Layers, inputs: Array) -> list[Array]:
    """Activations of all layers: `inputs` (..., rows, in) first, linear outputs last."""
    activations = [inputs]
    for weights, biases in layers[:-1]:
        hidden = activations[-1] @ weights
        hidden += biases
        activations.append(np.tanh(hidden, out=hidden))
    weights, biases = layers[-1]
    outputs = activations[-1] @ weights
    outputs += biases
    activations.append(outputs)
    return activations


def _slope(activation: Array) -> Array:
    """Derivative of tanh where its value is `activation`."""
    slope = activation * activation
    return np.subtract(1.0, slope, out=slope)


def backward(
    layers: Layers, activations: Sequence[Array], output_gradient: Array, gradient: Layers
) -> None:
    """Write the gradient of a loss into the views `gradient`.

    Args:
        layers: the network.
        activations: what `forward` returned.
        output_gradient: (..., rows, out) derivative of the loss by the outputs.
        gradient: views of the flat gradient; overwritten.
    """
    delta = output_gradient
    for level in range(len(layers) - 1, -1, -1):
        inputs = activations[level]
        weights_gradient, biases_gradient = gradient[level]
        np.matmul(np.swapaxes(inputs, -1, -2), delta, out=weights_gradient)
        np.add.reduce(delta, axis=-2, keepdims=True, out=biases_gradient)
        if level:
            delta = delta @ np.swapaxes(layers[level][0], -1, -2)
            delta *= _slope(inputs)


@dataclass(frozen=True, slots=True)
class Tangent:
    """A direction in parameter space and the activations' derivative along it."""

    layers: Layers
    activations: list[Array]
    """Derivatives of the activations after the inputs, in order."""


def forward_tangent(layers: Layers, activations: Sequence[Array], direction: Layers) -> Tangent:
    """Derivative of all activations along `direction` (Pearlmutter's R operator)."""
    tangents: list[Array] = []
    for level, ((weights, _), (d_weights, d_biases)) in enumerate(
        zip(layers, direction, strict=True)
    ):
        moved = activations[level] @ d_weights
        moved += d_biases
        if level:
            moved += tangents[-1] @ weights
        if level < len(layers) - 1:
            moved *= _slope(activations[level + 1])
        tangents.append(moved)
    return Tangent(direction, tangents)


def backward_tangent(
    layers: Layers,
    activations: Sequence[Array],
    tangent: Tangent,
    output_gradient: tuple[Array, Array],
    product: Layers,
) -> None:
    """Write the derivative of `backward`'s gradient along the tangent's direction.

    Args:
        layers: the network.
        activations: what `forward` returned.
        tangent: what `forward_tangent` returned.
        output_gradient: derivative of the loss by the outputs, and that derivative's own
            derivative along the direction; (..., rows, out) each.
        product: views of the flat Hessian-vector product; overwritten.
    """
    delta, moved_delta = output_gradient
    for level in range(len(layers) - 1, -1, -1):
        inputs = activations[level]
        inputs_t = np.swapaxes(inputs, -1, -2)
        weights_product, biases_product = product[level]
        np.matmul(inputs_t, moved_delta, out=weights_product)
        np.sum(moved_delta, axis=-2, keepdims=True, out=biases_product)
        if not level:
            return
        moved_inputs = tangent.activations[level - 1]
        weights_product += np.swapaxes(moved_inputs, -1, -2) @ delta
        weights_t = np.swapaxes(layers[level][0], -1, -2)
        direction_t = np.swapaxes(tangent.layers[level][0], -1, -2)
        back, slope = delta @ weights_t, _slope(inputs)
        moved_delta = moved_delta @ weights_t
        moved_delta += delta @ direction_t
        moved_delta *= slope
        bend = inputs * moved_inputs
        bend *= back
        bend *= 2.0
        moved_delta -= bend
        delta = np.multiply(back, slope, out=back)
