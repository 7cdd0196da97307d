from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.sinusoid import SIZES, evaluate, initial, train
from twintier.learning import autograd
from twintier.learning.meta import MetaSettings
from twintier.learning.supervised import regression_gradients


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
        SIZES, flat, logarithms, rounds, MetaSettings(inner_steps=steps, judged=judged)
    )

    def torch_loss(task: int, number: int) -> autograd.Loss:
        x, y = (torch.from_numpy(part[task]) for part in rounds[number])
        return lambda p: ((autograd.network_outputs(SIZES, p, x) - y) ** 2).mean()

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
