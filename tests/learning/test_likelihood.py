"""The written-out derivatives are those of automatic differentiation, and of differences."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from twintier.inmf.actor import PolicySpec
from twintier.inmf.spec import Box, Discrete, Mlp, MultiBinary
from twintier.learning import autograd, surrogate
from twintier.learning.likelihood import Likelihood
from twintier.learning.policy import Policy
from twintier.learning.surrogate import Surrogate

NETWORK = Mlp((6, 5))
SPECS = [
    PolicySpec(4, MultiBinary(2), NETWORK),
    PolicySpec(4, Discrete(3), NETWORK),
    PolicySpec(4, Box((0.0, -1.0), (4.0, 1.0)), NETWORK),
]
EPISODES, SLOTS = 3, 4
Doubles = npt.NDArray[np.float64]
every_head = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.head)


def sample(spec: PolicySpec, seed: int) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    rng = np.random.default_rng(seed)
    rows = EPISODES * SLOTS
    flat = rng.normal(0.0, 0.5, spec.parameters)
    seen = rng.normal(size=(rows, spec.observation_dim))
    samples = rng.normal(size=(rows, spec.action_dim))
    if isinstance(spec.actions, Discrete):
        samples = rng.integers(spec.actions.choices, size=(rows, 1)).astype(float)
    return flat, seen, samples, rng.normal(size=(EPISODES, SLOTS))


def torch_loss(kind: Surrogate, spec: PolicySpec, seed: int) -> tuple[autograd.Loss, Tensor]:
    flat, observations, samples, advantage = map(torch.from_numpy, sample(spec, seed))
    before = autograd.log_prob(spec, flat, observations, samples).reshape(EPISODES, SLOTS)

    def loss(parameters: Tensor) -> Tensor:
        now = autograd.log_prob(spec, parameters, observations, samples)
        return autograd.surrogate_loss(kind, now.reshape(EPISODES, SLOTS), before, advantage)

    return loss, flat


@every_head
def test_log_probabilities_agree_with_torch(spec: PolicySpec) -> None:
    flat, observations, samples, _ = sample(spec, 0)
    expected = autograd.log_prob(spec, *map(torch.from_numpy, (flat, observations, samples)))
    result = Likelihood(Policy.of(spec), flat, observations, samples).log_prob
    np.testing.assert_allclose(result, expected.numpy(), rtol=1e-12)


@every_head
@pytest.mark.parametrize("kind", ["ratio", "dice", "log"])
def test_gradient_and_hessian_vector_agree_with_torch(kind: Surrogate, spec: PolicySpec) -> None:
    loss, start = torch_loss(kind, spec, 1)
    flat, observations, samples, advantage = sample(spec, 1)
    vector = np.random.default_rng(9).normal(size=flat.shape)
    start.requires_grad_()
    (expected,) = torch.autograd.grad(loss(start), start, create_graph=True)
    (product,) = torch.autograd.grad(expected, start, torch.from_numpy(vector))
    likelihood = Likelihood(Policy.of(spec), flat, observations, samples)
    weight = surrogate.coefficient(advantage)
    bend = surrogate.curvature(kind, weight)
    np.testing.assert_allclose(
        likelihood.gradient(weight.ravel()), expected.detach().numpy(), atol=1e-12
    )
    result = likelihood.hessian_vector(
        weight.ravel(), vector, lambda moved: bend(moved.reshape(EPISODES, SLOTS)).ravel()
    )
    np.testing.assert_allclose(result, product.numpy(), atol=1e-12)


@every_head
def test_gradient_and_hessian_vector_are_those_of_finite_differences(spec: PolicySpec) -> None:
    flat, observations, samples, advantage = sample(spec, 2)
    policy, weight = Policy.of(spec), advantage.ravel()
    direction = np.random.default_rng(9).normal(size=flat.shape)

    def at(step: float) -> Likelihood:
        return Likelihood(policy, flat + step * direction, observations, samples)

    def slope(one: Likelihood, other: Likelihood) -> Doubles:
        return np.asarray((one.gradient(weight) - other.gradient(weight)) / 2e-5)

    rise = (at(1e-5).log_prob - at(-1e-5).log_prob) @ weight / 2e-5
    assert at(0.0).gradient(weight) @ direction == pytest.approx(rise, rel=1e-6)
    product = at(0.0).hessian_vector(weight, direction, np.zeros_like)
    np.testing.assert_allclose(product, slope(at(1e-5), at(-1e-5)), rtol=1e-5, atol=1e-6)


@every_head
def test_the_entropy_bonus_is_the_gradient_of_the_mean_entropy(spec: PolicySpec) -> None:
    flat, observations, samples, _ = sample(spec, 3)
    likelihood = Likelihood(Policy.of(spec), flat, observations, samples)
    gradient = np.empty_like(flat)
    likelihood.write_gradient(np.zeros(len(samples)), gradient, entropy=0.7)
    parameters = torch.from_numpy(flat).requires_grad_()
    outputs = autograd.network_outputs(spec.sizes, parameters, torch.from_numpy(observations))
    if spec.head == "categorical":
        logarithm = outputs.log_softmax(-1)
        entropy = -(logarithm.exp() * logarithm).sum(-1).mean()
    else:
        entropy = parameters[-spec.free :].sum() + 0.0 * outputs.sum()
    (expected,) = torch.autograd.grad(-0.7 * entropy, parameters)
    np.testing.assert_allclose(gradient, expected.numpy(), atol=1e-12)


@every_head
def test_twins_in_one_batch_are_the_twins_one_by_one(spec: PolicySpec) -> None:
    policy, samples_of = Policy.of(spec), [sample(spec, seed) for seed in range(3)]
    flat, observations, samples, advantage = (
        np.stack([one[part] for one in samples_of]) for part in range(4)
    )
    weight = surrogate.coefficient(advantage).reshape(3, -1)
    together = Likelihood(policy, flat, observations, samples)
    gradients = together.gradient(weight)
    products = together.hessian_vector(weight, gradients, lambda moved: weight * moved)
    for twin in range(3):
        alone = Likelihood(policy, flat[twin], observations[twin], samples[twin])
        row = weight[twin]
        np.testing.assert_allclose(gradients[twin], alone.gradient(row), atol=1e-12)
        product = alone.hessian_vector(row, gradients[twin], row.__mul__)
        np.testing.assert_allclose(products[twin], product, atol=1e-12)
