"""The written-out derivatives are those of automatic differentiation."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from twintier.inmf.actor import PolicySpec
from twintier.inmf.spec import Mlp, MultiBinary
from twintier.learning import autograd, surrogate
from twintier.learning.likelihood import Likelihood
from twintier.learning.policy import Policy
from twintier.learning.surrogate import Surrogate

SPEC = PolicySpec(4, MultiBinary(2), Mlp((6, 5)))
POLICY = Policy.of(SPEC)
EPISODES, SLOTS = 3, 4
Doubles = npt.NDArray[np.float64]


def sample(seed: int) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    rng = np.random.default_rng(seed)
    rows = EPISODES * SLOTS
    return (
        rng.normal(0.0, 0.5, SPEC.parameters),
        rng.normal(size=(rows, SPEC.observation_dim)),
        rng.normal(size=(rows, SPEC.action_dim)),
        rng.normal(size=(EPISODES, SLOTS)),
    )


def torch_loss(kind: Surrogate, seed: int) -> tuple[autograd.Loss, Tensor]:
    flat, observations, actions, advantage = map(torch.from_numpy, sample(seed))
    before = autograd.log_prob(SPEC, flat, observations, actions).reshape(EPISODES, SLOTS)

    def loss(parameters: Tensor) -> Tensor:
        now = autograd.log_prob(SPEC, parameters, observations, actions)
        return autograd.surrogate_loss(kind, now.reshape(EPISODES, SLOTS), before, advantage)

    return loss, flat


def test_log_probabilities_agree_with_torch() -> None:
    flat, observations, actions, _ = sample(0)
    expected = autograd.log_prob(SPEC, *map(torch.from_numpy, (flat, observations, actions)))
    result = Likelihood(POLICY, flat, observations, actions).log_prob
    np.testing.assert_allclose(result, expected.numpy(), rtol=1e-12)


@pytest.mark.parametrize("kind", ["ratio", "dice", "log"])
def test_gradient_and_hessian_vector_agree_with_torch(kind: Surrogate) -> None:
    loss, start = torch_loss(kind, 1)
    flat, observations, actions, advantage = sample(1)
    vector = np.random.default_rng(9).normal(size=flat.shape)
    start.requires_grad_()
    (expected,) = torch.autograd.grad(loss(start), start, create_graph=True)
    (product,) = torch.autograd.grad(expected, start, torch.from_numpy(vector))
    likelihood = Likelihood(POLICY, flat, observations, actions)
    weight = surrogate.coefficient(advantage)
    bend = surrogate.curvature(kind, weight)
    np.testing.assert_allclose(
        likelihood.gradient(weight.ravel()), expected.detach().numpy(), atol=1e-12
    )
    result = likelihood.hessian_vector(
        weight.ravel(), vector, lambda moved: bend(moved.reshape(EPISODES, SLOTS)).ravel()
    )
    np.testing.assert_allclose(result, product.numpy(), atol=1e-12)


def test_twins_in_one_batch_are_the_twins_one_by_one() -> None:
    samples = [sample(seed) for seed in range(3)]
    flat, observations, actions, advantage = (
        np.stack([one[part] for one in samples]) for part in range(4)
    )
    weight = surrogate.coefficient(advantage).reshape(3, -1)
    together = Likelihood(POLICY, flat, observations, actions)
    gradients = together.gradient(weight)
    products = together.hessian_vector(weight, gradients, lambda moved: weight * moved)
    for twin in range(3):
        alone = Likelihood(POLICY, flat[twin], observations[twin], actions[twin])
        row = weight[twin]
        np.testing.assert_allclose(gradients[twin], alone.gradient(row), atol=1e-12)
        product = alone.hessian_vector(row, gradients[twin], row.__mul__)
        np.testing.assert_allclose(products[twin], product, atol=1e-12)
