"""Meta gradients against finite differences of exact expected returns.

The gradient alone proves nothing: a surrogate with the right gradient and a wrong Hessian turns
MAML into first-order MAML without a sign of it.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.learning.tabular import STATES, Tabular, start, tabular
from twintier.learning.autograd import Loss, inner_step, meta_gradient
from twintier.learning.errors import GraphError
from twintier.learning.surrogate import Surrogate

ALPHA = 0.5


def differences(function: Callable[[Tensor], Tensor], at: Tensor, step: float) -> Tensor:
    """Central differences, one row for each coordinate."""
    rows = []
    for axis in range(STATES):
        shift = torch.zeros(STATES, dtype=torch.float64)
        shift[axis] = step
        rows.append((function(at + shift) - function(at - shift)) / (2.0 * step))
    return torch.stack(rows)


def gradient_of(loss: Loss) -> Callable[[Tensor], Tensor]:
    def gradient(at: Tensor) -> Tensor:
        at = at.detach().requires_grad_()
        return torch.autograd.grad(loss(at), at)[0]

    return gradient


def hessian_of(world: Tabular, kind: Surrogate, at: Tensor) -> Tensor:
    at = at.detach().requires_grad_()
    loss = world.expected_surrogate(kind, at)
    (gradient,) = torch.autograd.grad(loss, at, create_graph=True)
    rows = [torch.autograd.grad(part, at, retain_graph=True)[0] for part in gradient]
    return torch.stack(rows)


def exact_loss(world: Tabular) -> Loss:
    return lambda logits: -world.expected_return(logits)


def adapted_loss(world: Tabular, steps: int) -> Loss:
    """The loss after exact gradient steps, as a plain function of the start."""

    def loss(at: Tensor) -> Tensor:
        for _ in range(steps):
            at = at - ALPHA * gradient_of(exact_loss(world))(at)
        return exact_loss(world)(at).detach()

    return loss


def error(result: Tensor, expected: Tensor) -> float:
    return float((result - expected).norm() / expected.norm())


@pytest.mark.parametrize("kind", ["ratio", "dice", "log"])
@pytest.mark.parametrize("seed", range(3))
def test_every_surrogate_has_the_gradient_of_the_expected_return(
    kind: Surrogate, seed: int
) -> None:
    world = tabular(seed, exogenous=False)
    at = start(seed)
    expected = differences(exact_loss(world), at, 1e-5)
    result = gradient_of(lambda logits: world.expected_surrogate(kind, logits))(at)
    assert error(result, expected) < 1e-8


def hessian_error(kind: Surrogate, seed: int, *, exogenous: bool) -> float:
    world = tabular(seed, exogenous=exogenous)
    at = start(seed)
    expected = differences(gradient_of(exact_loss(world)), at, 1e-5)
    return error(hessian_of(world, kind, at), expected)


@pytest.mark.parametrize("seed", range(3))
def test_the_ratio_surrogate_has_the_hessian_where_states_are_exogenous(seed: int) -> None:
    assert hessian_error("ratio", seed, exogenous=True) < 1e-8


@pytest.mark.parametrize("seed", range(3))
def test_dice_has_the_hessian_of_any_process(seed: int) -> None:
    assert hessian_error("dice", seed, exogenous=False) < 1e-8


@pytest.mark.parametrize("seed", range(3))
def test_the_log_surrogate_has_no_hessian_in_expectation(seed: int) -> None:
    world = tabular(seed, exogenous=True)
    assert float(hessian_of(world, "log", start(seed)).abs().max()) < 1e-12
    assert hessian_error("log", seed, exogenous=True) == pytest.approx(1.0, abs=1e-8)


def meta(world: Tabular, kind: Surrogate, at: Tensor, steps: int, **order: bool) -> Tensor:
    inner = [lambda logits: world.expected_surrogate(kind, logits)] * steps
    logarithms = torch.full_like(at, ALPHA).log()
    return meta_gradient(at, logarithms, inner, exact_loss(world), **order)[0]


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("exogenous", [True, False])
def test_meta_gradients_are_those_of_finite_differences(steps: int, *, exogenous: bool) -> None:
    world, at = tabular(7, exogenous=exogenous), start(7)
    expected = differences(adapted_loss(world, steps), at, 1e-5)
    kind: Surrogate = "ratio" if exogenous else "dice"
    assert error(meta(world, kind, at, steps), expected) < 1e-7


def test_the_log_surrogate_turns_maml_into_first_order_maml() -> None:
    world, at = tabular(7, exogenous=True), start(7)
    expected = differences(adapted_loss(world, 1), at, 1e-5)
    wrong = meta(world, "log", at, 1)
    first_order = meta(world, "ratio", at, 1, second_order=False)
    assert error(wrong, first_order) < 1e-12
    assert error(wrong, expected) > 0.02


def test_an_inner_step_without_its_graph_is_caught() -> None:
    world, at = tabular(7, exogenous=True), start(7).requires_grad_()

    def detached(logits: Tensor) -> Tensor:
        here = logits.detach().requires_grad_()
        (slope,) = torch.autograd.grad(world.expected_surrogate("ratio", here), here)
        return slope @ logits

    with pytest.raises(GraphError, match="carries no graph"):
        inner_step(detached, at, torch.tensor(ALPHA), second_order=True)


def test_a_create_graph_left_out_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.autograd.grad

    def forgetful(outputs: Tensor, inputs: Tensor, **_: bool) -> tuple[Tensor, ...]:
        return real(outputs, inputs)

    monkeypatch.setattr(torch.autograd, "grad", forgetful)
    with pytest.raises(GraphError, match="pass create_graph"):
        meta(tabular(7, exogenous=True), "ratio", start(7), 1)
