"""Any `torch.nn.Module` behind the port, by automatic differentiation.

The flat vector is the module's parameters in the order of `named_parameters`, each row by row. The
module itself is only a form: `functional_call` gives it the numbers of the call, `vmap` those of
all twins at once. Second derivatives are reverse over reverse: in measurements 1 to 1.9 times as
fast as forward over reverse, and it asks nothing of a module but what training asks.
"""

import warnings
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.func import functional_call, vmap

from twintier.inmf.spec import TorchModule
from twintier.learning.engines.modules import device_of, examine, fresh_module, last_layer_of
from twintier.learning.engines.port import Array

OUTPUT_GAIN = 0.01
"""As the built-in network has it: outputs start near 0."""


class TorchPass:
    """One forward pass of a module with its graph; see `port.Pass`."""

    __slots__ = ("_flat", "_outputs", "outputs")

    def __init__(self, network: "TorchNetwork", parameters: Array, observations: Array) -> None:
        """Run (..., n or more) over (..., rows, observation_dim)."""
        # A copy, because an optimiser changes the vector in place while the graph is alive.
        numbers = np.ascontiguousarray(parameters[..., : network.parameters])
        self._flat = torch.tensor(numbers, device=network.device, requires_grad=True)
        seen = _tensor(observations, self._flat)
        self._outputs = network.outputs_of(self._flat, seen)
        self.outputs: Array = _array(self._outputs)
        """(..., rows, outputs)."""

    def write_gradient(self, output_gradient: Array, gradient: Array) -> None:
        """As the port has it; linear in `output_gradient`."""
        pulled = self._pull(_tensor(output_gradient, self._outputs))
        gradient[..., : pulled.shape[-1]] = _array(pulled)

    def tangent(self, direction: Array) -> Array:
        """Derivative of the outputs along `direction`, (..., rows, outputs).

        The gradient is linear in the derivative by the outputs, so the slope of its product with
        the direction is the tangent, wherever that derivative stands.
        """
        seed = torch.zeros_like(self._outputs, requires_grad=True)
        pulled = self._pull(seed, create_graph=True)
        (moved,) = torch.autograd.grad(pulled, seed, self._along(direction))
        return _array(moved)

    def write_product(
        self, direction: Array, output_gradient: Array, moved_gradient: Array, product: Array
    ) -> None:
        """As the port has it; `tangent` need not have been called."""
        pulled = self._pull(_tensor(output_gradient, self._outputs), create_graph=True)
        ends, weights = [self._outputs], [_tensor(moved_gradient, self._outputs)]
        if pulled.requires_grad:  # not if the outputs are linear in the parameters
            ends.append(pulled)
            weights.append(self._along(direction))
        (total,) = torch.autograd.grad(ends, self._flat, weights, retain_graph=True)
        product[..., : total.shape[-1]] = _array(total)

    def _pull(self, output_gradient: Tensor, *, create_graph: bool = False) -> Tensor:
        (pulled,) = torch.autograd.grad(
            self._outputs,
            self._flat,
            output_gradient,
            retain_graph=True,
            create_graph=create_graph,
        )
        return pulled

    def _along(self, direction: Array) -> Tensor:
        return _tensor(direction[..., : self._flat.shape[-1]], self._flat)


class TorchNetwork:
    """A module of an INMF's own; see `port.Network`."""

    def __init__(
        self, spec: TorchModule, observation_dim: int, outputs: int, device: str = "cpu"
    ) -> None:
        """Load the module and see whether it can be learned with.

        Args:
            spec: names the module, from an installed package and never from the wire.
            observation_dim: numbers of an observation.
            outputs: numbers that the head needs.
            device: where it computes, `cpu`, `cuda` or `cuda:N`.

        Raises:
            SettingsError: if the device is not there, the module cannot be imported or built, or
                it is none that the port can carry; the message says why.
        """
        torch.set_num_threads(1)  # two threads on small networks were 4 to 13 times slower
        self._made_of = (spec, observation_dim, outputs, device)
        self.device = device_of(device)
        self._module = fresh_module(spec, observation_dim, outputs, seed=0).to(self.device)
        named = dict(self._module.named_parameters())
        self._names, self._shapes = tuple(named), [each.shape for each in named.values()]
        self._numbers = [each.numel() for each in named.values()]
        self.parameters = sum(self._numbers)
        self.last_layer = last_layer_of(self._module)
        start = self._start(0).to(self.device)
        examine(spec.path, self._call, start, (observation_dim, outputs), self.last_layer)
        self._together = self._vmap_or_loop(observation_dim)

    def __reduce__(self) -> tuple[type["TorchNetwork"], tuple[TorchModule, int, int, str]]:
        return TorchNetwork, self._made_of

    def initial(self, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """The module's own start, with outputs near 0. (n,) float32."""
        flat: npt.NDArray[np.float32] = self._start(int(rng.integers(2**63))).numpy()
        self.scale_outputs(flat, OUTPUT_GAIN)
        return flat

    def run(self, parameters: Array, observations: Array) -> TorchPass:
        """A forward pass of (..., n or more) over (..., rows, observation_dim)."""
        return TorchPass(self, parameters, observations)

    def scale_outputs(self, parameters: Array, factor: float) -> None:
        """Multiply the outputs by a factor, in place; (n or more,)."""
        parameters[self.last_layer] *= parameters.dtype.type(factor)

    def outputs_of(self, flat: Tensor, observations: Tensor) -> Tensor:
        """Outputs (..., rows, outputs) of (..., n) over (..., rows, observation_dim)."""
        if flat.dim() == 1:
            return self._call(flat, observations)
        twins = flat.reshape(-1, flat.shape[-1])
        rows = observations.reshape(len(twins), *observations.shape[-2:])
        outputs = self._together(twins, rows)
        return outputs.reshape(*flat.shape[:-1], *outputs.shape[1:])

    def _call(self, flat: Tensor, observations: Tensor) -> Tensor:
        """One twin's outputs (rows, outputs)."""
        parts = torch.split(flat, self._numbers)
        values = [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]
        state = dict(zip(self._names, values, strict=True))
        for name, buffer in self._module.named_buffers():
            state[name] = buffer.to(flat.dtype) if buffer.is_floating_point() else buffer
        # cuDNN's recurrent layers have no second derivative, and it rounds to TF32.
        without = torch.backends.cudnn.flags(enabled=False) if flat.is_cuda else nullcontext()
        with without:
            outputs: Tensor = functional_call(self._module, state, (observations,))
        return outputs

    def _start(self, seed: int) -> Tensor:
        module = fresh_module(*self._made_of[:3], seed=seed)
        return torch.cat([each.detach().reshape(-1) for each in module.parameters()]).float()

    def _vmap_or_loop(self, observation_dim: int) -> Callable[[Tensor, Tensor], Tensor]:
        """How to run several twins: some of torch's layers (nn.GRU) are beyond vmap."""
        batched: Callable[[Tensor, Tensor], Tensor] = vmap(self._call)
        twins = torch.zeros(2, self.parameters, device=self.device)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("error")  # vmap warns where it would loop itself, call by call
            try:
                batched(twins, torch.zeros(2, 1, observation_dim, device=self.device))
            except (RuntimeError, UserWarning):
                return self._one_by_one
        return batched

    def _one_by_one(self, flat: Tensor, observations: Tensor) -> Tensor:
        pairs = zip(flat, observations, strict=True)
        return torch.stack([self._call(twin, rows) for twin, rows in pairs])


def _tensor(values: Array, like: Tensor) -> Tensor:
    """A copy with the type and on the device of another tensor."""
    return torch.tensor(np.ascontiguousarray(values), dtype=like.dtype, device=like.device)


def _array(tensor: Tensor) -> Array:
    values: Array = tensor.detach().cpu().numpy()
    return values
