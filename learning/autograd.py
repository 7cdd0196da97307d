"""The same mathematics by automatic differentiation, in torch.

Slower than the written-out gradients of `learning.likelihood` and `learning.meta`, and good for any
loss: it is what they are held to, and the way for losses that nobody has differentiated by hand.
Only the built-in network; modules of an INMF's own run behind the port (`learning.engines`).
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import log, pi

import torch
from torch import Tensor

from twintier.inmf.actor import PolicySpec
from twintier.learning.errors import GraphError
from twintier.learning.surrogate import Surrogate

Loss = Callable[[Tensor], Tensor]
"""From the flat parameters to one number, on data that are already fixed."""


def network_outputs(sizes: Sequence[int], flat: Tensor, inputs: Tensor) -> Tensor:
    """Outputs (rows, out) of the tanh network of `learning.network`."""
    start, hidden = 0, inputs
    for level, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        middle, end = start + fan_in * fan_out, start + (fan_in + 1) * fan_out
        hidden = hidden @ flat[start:middle].reshape(fan_in, fan_out) + flat[middle:end]
        hidden = torch.tanh(hidden) if level < len(sizes) - 2 else hidden
        start = end
    return hidden


def log_prob(spec: PolicySpec, flat: Tensor, observations: Tensor, samples: Tensor) -> Tensor:
    """Log-probability (rows,) of samples (rows, A)."""
    outputs = network_outputs(spec.sizes, flat, observations)
    if spec.head == "categorical":
        return outputs.log_softmax(-1).gather(-1, samples.long())[:, 0]
    log_std = flat[-spec.free :]
    z = (samples - outputs) / log_std.exp()
    return -0.5 * (z**2).sum(-1) - log_std.sum() - 0.5 * log(2.0 * pi) * spec.free


def surrogate_loss(kind: Surrogate, current: Tensor, before: Tensor, advantage: Tensor) -> Tensor:
    """The loss behind `learning.surrogate`, (episodes, slots) each; `before` is a constant."""
    if kind == "log":
        return -(current * advantage).mean()
    change = current - before.detach()
    if kind == "ratio":
        return -(change.exp() * advantage).mean()
    running = change.cumsum(-1)
    return -((running.exp() - (running - change).exp()) * advantage).mean()


def inner_step(loss: Loss, parameters: Tensor, step_sizes: Tensor, *, second_order: bool) -> Tensor:
    """Parameters after one gradient step, still a function of `parameters`.

    Raises:
        GraphError: if second order is asked for and the gradient does not depend on the
            parameters: the meta gradient would silently be the first-order one.
    """
    (gradient,) = torch.autograd.grad(loss(parameters), parameters, create_graph=second_order)
    if second_order and not gradient.requires_grad:
        raise GraphError(
            "the inner gradient carries no graph; pass create_graph and do not detach the loss"
        )
    return parameters - step_sizes * gradient


def meta_gradient(
    parameters: Tensor,
    log_step_sizes: Tensor,
    inner: Sequence[Loss],
    outer: Loss,
    *,
    second_order: bool = True,
) -> tuple[Tensor, Tensor]:
    """Gradient of `outer` after a step on each loss of `inner`, by both arguments.

    Args:
        parameters: (n,) meta parameters.
        log_step_sizes: (n,) logarithms of the step sizes.
        inner: the losses of the inner steps, in order.
        outer: the adaptation loss.
        second_order: False leaves out the dependence of the inner gradients on the parameters.

    Raises:
        GraphError: as `inner_step`.
    """
    start = parameters.detach().requires_grad_()
    logarithms = log_step_sizes.detach().requires_grad_()
    current = start
    for loss in inner:
        current = inner_step(loss, current, logarithms.exp(), second_order=second_order)
    by_start, by_logarithms = torch.autograd.grad(outer(current), (start, logarithms))
    return by_start, by_logarithms
