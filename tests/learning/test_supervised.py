from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.sinusoid import NETWORK, evaluate, initial, train
from twintier.inmf.contract import Columns
from twintier.inmf.spec import Box, InmfSpec, Mlp
from twintier.inmf.supervised import Labelled, Reals, SupervisedInmf
from twintier.learning import autograd
from twintier.learning.aggregate import MetaOptimizer
from twintier.learning.errors import SettingsError
from twintier.learning.meta import MetaGradient, MetaSettings
from twintier.learning.policy import Policy, Vector, initial_parameters
from twintier.learning.supervised import regression_gradients, supervised_gradient


@pytest.mark.parametrize(
    ("steps", "judged"), [(1, "last"), (3, "last"), (1, "every"), (3, "every")]
)
def test_the_gradient_of_an_adapted_regression_is_that_of_torch(
    steps: int, judged: Literal["last", "every"]
) -> None:
    rng = np.random.default_rng(0)
    flat = initial(rng).astype(np.float64)
    logarithms = np.log(rng.uniform(0.01, 0.05, flat.size))
    rounds = [(rng.normal(size=(2, 6, 1)), rng.normal(size=(2, 6, 1))) for _ in range(steps + 1)]
    gradient, by_logarithm, loss = regression_gradients(
        NETWORK, flat, logarithms, rounds, MetaSettings(inner_steps=steps, judged=judged)
    )

    def torch_loss(task: int, number: int) -> autograd.Loss:
        x, y = (torch.from_numpy(part[task]) for part in rounds[number])
        return lambda p: ((autograd.network_outputs(NETWORK.sizes, p, x) - y) ** 2).mean()

    for task in range(2):
        losses = [torch_loss(task, number) for number in range(steps + 1)]
        start, logs = torch.from_numpy(flat), torch.from_numpy(logarithms)
        after = range(1, steps + 1) if judged == "every" else [steps]
        expected = [autograd.meta_gradient(start, logs, losses[:n], losses[-1]) for n in after]
        for found, ours in zip((gradient, by_logarithm), zip(*expected, strict=True), strict=True):
            np.testing.assert_allclose(found[task], torch.stack(ours).mean(0).numpy(), atol=1e-10)
        adapted: Tensor = start.requires_grad_()
        for inner in losses[:-1]:
            adapted = autograd.inner_step(inner, adapted, logs.exp(), second_order=True)
        assert loss[task] == pytest.approx(float(losses[-1](adapted).detach()))


@pytest.mark.slow
def test_a_short_training_adapts_to_sinusoids_and_second_order_does_better() -> None:
    errors = {}
    for algorithm in ("maml", "fomaml"):
        rng = np.random.default_rng(0)
        errors[algorithm] = evaluate(train(algorithm, 10, 800, rng), 10, rng)
    assert errors["maml"]["1"] < 1.6
    assert errors["maml"]["10"] < 1.0
    assert errors["fomaml"]["1"] > 1.2 * errors["maml"]["1"]


class Forecaster:
    """A supervised INMF: the next value of a column from this one, with a loss of its own."""

    spec = InmfSpec(
        inmf="forecaster",
        observation_dim=1,
        actions=Box((-5.0,), (5.0,)),
        slots=10,
        slot_s=1.0,
        gamma=0.0,
        gae_lambda=0.0,
        network=Mlp((8,)),
    )

    def __init__(self) -> None:
        self.loss = Quartic()

    def samples(self, true: Columns) -> Labelled:
        value = true["value"][:, None]
        return value[:-1].astype(np.float32), value[1:].astype(np.float32)


class Quartic:
    """Mean fourth power of the error: large errors count for more."""

    def value(self, outputs: Reals, targets: Reals) -> Reals:
        return np.asarray(((outputs - targets) ** 4).mean(axis=(-2, -1)))

    def gradient(self, outputs: Reals, targets: Reals) -> Reals:
        size = outputs.shape[-1] * outputs.shape[-2]
        return np.asarray(4.0 / size * (outputs - targets) ** 3)

    def moved(self, outputs: Reals, targets: Reals, direction: Reals) -> Reals:
        size = outputs.shape[-1] * outputs.shape[-2]
        return np.asarray(12.0 / size * (outputs - targets) ** 2 * direction)


def wave(slots: int = 41) -> Columns:
    return {"value": np.sin(0.5 * np.arange(slots))}


POLICY = Policy.of(Forecaster.spec)


def contribution(algorithm: str, true: Columns, flat: Vector, steps: int = 2) -> MetaGradient:
    settings = MetaSettings(algorithm, inner_steps=steps, initial_step_size=0.05)
    logs = settings.initial_log_step_sizes(POLICY)
    return supervised_gradient(Forecaster(), POLICY, flat, logs, true, settings=settings)


@pytest.mark.parametrize("algorithm", ["maml", "fomaml"])
def test_a_supervised_inmf_contributes_the_gradient_of_torch_under_its_own_loss(
    algorithm: str,
) -> None:
    flat = np.random.default_rng(0).normal(0.0, 0.4, POLICY.parameters).astype(np.float32)
    result = contribution(algorithm, wave(), flat)
    x, y = (torch.from_numpy(part).double() for part in Forecaster().samples(wave()))
    sizes = POLICY.spec.sizes

    def loss_of(rows: slice) -> autograd.Loss:
        return lambda p: ((autograd.network_outputs(sizes, p, x[rows]) - y[rows]) ** 4).mean()

    start = torch.from_numpy(flat).double()[: POLICY.network.parameters]
    expected, by_logarithm = autograd.meta_gradient(
        start,
        torch.full_like(start, 0.05).log(),
        [loss_of(slice(20))] * 2,
        loss_of(slice(20, None)),
        second_order=algorithm == "maml",
    )
    own = slice(POLICY.network.parameters)
    np.testing.assert_allclose(result.gradient[own], expected.numpy(), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        result.step_size_gradient[own], by_logarithm.numpy(), rtol=1e-3, atol=1e-5
    )
    assert not POLICY.free(result.gradient).any()
    assert result.adaptation_loss == -result.reward_after
    assert result.slots == 3 * 20


@pytest.mark.parametrize("algorithm", ["maml", "fomaml", "reptile"])
def test_rounds_of_a_supervised_inmf_make_it_adapt_better(algorithm: str) -> None:
    flat, optimizer = initial_parameters(POLICY, np.random.default_rng(0)), MetaOptimizer(1e-2)
    logs = MetaSettings(algorithm, initial_step_size=0.05).initial_log_step_sizes(POLICY)
    first = contribution("maml", wave(), flat).adaptation_loss
    for _ in range(100):
        row = contribution(algorithm, wave(), flat)
        flat, _ = optimizer.step(flat, logs, row.gradient, np.zeros_like(flat))
    assert contribution("maml", wave(), flat).adaptation_loss < 0.2 * first


def test_too_few_labelled_rows_are_refused() -> None:
    flat = initial_parameters(POLICY, np.random.default_rng(0))
    with pytest.raises(SettingsError, match="1 labelled rows; wait for 2"):
        contribution("maml", wave(2), flat)


def test_labelled_data_have_no_teacher() -> None:
    flat = initial_parameters(POLICY, np.random.default_rng(0))
    with pytest.raises(SettingsError, match="no teacher"):
        contribution("teacher", wave(), flat)


def test_an_inmf_of_labelled_data_is_known_by_what_it_states() -> None:
    assert isinstance(Forecaster(), SupervisedInmf)
