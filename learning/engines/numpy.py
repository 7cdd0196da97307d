"""The built-in network behind the port: the written-out derivatives of `learning.network`."""

import numpy as np
import numpy.typing as npt

from twintier.inmf.spec import Mlp
from twintier.learning.engines.port import Array
from twintier.learning.network import (
    Layers,
    Tangent,
    backward,
    backward_tangent,
    forward,
    forward_tangent,
    layers_of,
    parameter_count,
)

OUTPUT_GAIN = 0.01
"""Assumed: outputs start near 0, so a policy that knows nothing prefers no action."""


class _Views:
    """Views of the layers of the flat vector asked for last.

    An optimiser changes one vector in place, thousands of times: making views anew would cost five
    percent of an update. Several twins' vectors are new in each call and are not kept.
    """

    __slots__ = ("_kept", "_sizes")

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self._sizes = sizes
        self._kept: tuple[Array, Layers] | None = None

    def __reduce__(self) -> tuple[type["_Views"], tuple[tuple[int, ...]]]:
        return _Views, (self._sizes,)

    def of(self, flat: Array) -> Layers:
        kept = self._kept
        if kept is not None and kept[0] is flat:
            return kept[1]
        layers = layers_of(self._sizes, flat)
        if flat.ndim == 1:
            self._kept = (flat, layers)
        return layers


class MlpPass:
    """One forward pass of the built-in network; see `port.Pass`."""

    __slots__ = ("_activations", "_layers", "_network", "_tangent")

    def __init__(self, network: "MlpNetwork", layers: Layers, observations: Array) -> None:
        """Run the network (views `layers`) on (..., rows, observation_dim)."""
        self._network = network
        self._layers = layers
        self._activations = forward(layers, observations)
        self._tangent: Tangent | None = None

    @property
    def outputs(self) -> Array:
        """(..., rows, outputs)."""
        return self._activations[-1]

    def write_gradient(self, output_gradient: Array, gradient: Array) -> None:
        """As the port has it; linear in `output_gradient`."""
        views = self._network.gradient_views.of(gradient)
        backward(self._layers, self._activations, output_gradient, views)

    def tangent(self, direction: Array) -> Array:
        """Derivative of the outputs along `direction`, (..., rows, outputs)."""
        layers = layers_of(self._network.sizes, direction)
        self._tangent = forward_tangent(self._layers, self._activations, layers)
        return self._tangent.activations[-1]

    def write_product(
        self, direction: Array, output_gradient: Array, moved_gradient: Array, product: Array
    ) -> None:
        """As the port has it.

        Raises:
            RuntimeError: if `tangent` has not been called on this pass.
        """
        del direction
        if self._tangent is None:
            raise RuntimeError("write_product needs the tangent; call tangent(direction) before")
        backward_tangent(
            self._layers,
            self._activations,
            self._tangent,
            (output_gradient, moved_gradient),
            layers_of(self._network.sizes, product),
        )


class MlpNetwork:
    """The built-in tanh network of one shape; see `port.Network`."""

    __slots__ = ("_parameter_views", "gradient_views", "parameters", "sizes")

    def __init__(self, spec: Mlp, observation_dim: int, outputs: int) -> None:
        """Fix the sizes."""
        self.sizes = (observation_dim, *spec.hidden, outputs)
        self.parameters = parameter_count(self.sizes)
        self._parameter_views = _Views(self.sizes)
        self.gradient_views = _Views(self.sizes)

    @property
    def last_layer(self) -> slice:
        """Weights and biases of the output layer."""
        return slice(parameter_count(self.sizes[:-1]), self.parameters)

    def initial(self, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Fan-in scaled normal weights, the last layer's near 0; zero biases. (n,) float32."""
        flat = np.zeros(self.parameters, np.float32)
        layers = layers_of(self.sizes, flat)
        for level, (weights, _) in enumerate(layers):
            gain = OUTPUT_GAIN if level == len(layers) - 1 else 1.0
            weights[...] = rng.normal(0.0, gain / np.sqrt(weights.shape[0]), weights.shape)
        return flat

    def run(self, parameters: Array, observations: Array) -> MlpPass:
        """A forward pass of (..., n or more) over (..., rows, observation_dim)."""
        return MlpPass(self, self._parameter_views.of(parameters), observations)

    def scale_outputs(self, parameters: Array, factor: float) -> None:
        """Multiply the outputs by a factor, in place; (n or more,)."""
        parameters[self.last_layer] *= parameters.dtype.type(factor)


def order_in_torch(sizes: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Where the numbers of the same network as `torch.nn.Linear` layers stand in the vector.

    torch keeps weights (out, in), the built-in network (in, out).

    Args:
        sizes: units of input, hidden and output layers.

    Returns:
        (n,) such that `flat[order]` is torch's vector.
    """
    places = np.arange(parameter_count(sizes), dtype=np.float64)  # whole numbers, kept exactly
    layers = layers_of(sizes, places)
    parts = [part.ravel() for weights, biases in layers for part in (weights.T, biases)]
    return np.concatenate(parts).astype(np.int64)
