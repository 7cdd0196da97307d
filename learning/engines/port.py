"""The port behind which a network stands: outputs, and first and second derivatives by its vector.

Heads and losses are numpy arithmetic on outputs (`learning.heads`); a network only has to carry
derivatives by its outputs back to its flat vector. Every function takes any number of leading axes
(twins): parameters (..., n) with observations (..., rows, observation_dim). The flat vector of a
policy is the network's numbers first and then the free numbers of its head (log_std).
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]


class Pass(Protocol):
    """One forward pass, ready to be differentiated."""

    @property
    def outputs(self) -> Array:
        """(..., rows, outputs)."""
        ...

    def write_gradient(self, output_gradient: Array, gradient: Array) -> None:
        """Write the gradient of a loss by the network's numbers.

        Args:
            output_gradient: (..., rows, outputs) derivative of the loss by the outputs.
            gradient: (..., n or more); the first n numbers are overwritten.
        """
        ...

    def tangent(self, direction: Array) -> Array:
        """Derivative of the outputs along `direction` (..., n or more), (..., rows, outputs)."""
        ...

    def write_product(
        self, direction: Array, output_gradient: Array, moved_gradient: Array, product: Array
    ) -> None:
        """Write the derivative of `write_gradient`'s result along a direction.

        Args:
            direction: (..., n or more), of the last call of `tangent`.
            output_gradient: (..., rows, outputs) derivative of the loss by the outputs.
            moved_gradient: its own derivative along the direction.
            product: (..., n or more); the first n numbers are overwritten.
        """
        ...


class Network(Protocol):
    """A network of one shape; its numbers come with each call."""

    @property
    def parameters(self) -> int:
        """Numbers of the network, without the head's."""
        ...

    @property
    def last_layer(self) -> slice:
        """Where the numbers stand that ANIL adapts."""
        ...

    def initial(self, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Numbers before any learning, (n,) float32."""
        ...

    def run(self, parameters: Array, observations: Array) -> Pass:
        """A forward pass of (..., n or more) over (..., rows, observation_dim)."""
        ...

    def scale_outputs(self, parameters: Array, factor: float) -> None:
        """Multiply the outputs by a factor, in place, by the last layer; (n or more,)."""
        ...
