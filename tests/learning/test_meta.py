import subprocess
import sys
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from tests.learning.rounds import POLICY, SETTINGS, SPEC, meta_gradients
from tests.learning.toys import ToyEpisodes, toy_episodes, toy_spec
from twintier.learning import autograd
from twintier.learning.aggregate import average_gradients
from twintier.learning.emulated import adaptation_gradient
from twintier.learning.errors import NumericsError, SettingsError
from twintier.learning.meta import MetaSettings, backpropagate
from twintier.learning.policy import initial_parameters
from twintier.learning.policy_step import Step, step_on
from twintier.learning.rollout import Rollout
from twintier.learning.surrogate import Surrogate

EPISODES, SLOTS = 3, 4


def random_rollout(rng: np.random.Generator) -> Rollout:
    shape = (1, EPISODES, SLOTS)
    actions = rng.normal(size=(*shape, SPEC.action_dim))
    return Rollout(
        rng.normal(size=(*shape, SPEC.observation_dim)),  # type: ignore[arg-type]  # doubles here
        actions,
        actions > 0,
        rng.normal(size=shape),
    )


def both_ways(
    steps: int, algorithm: Literal["maml", "fomaml"], kind: Surrogate, alpha: float = 0.3
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], list[Tensor]]:
    """Gradients by both arguments, written out and by torch, on the same data."""
    rng = np.random.default_rng(5)
    current = start = rng.normal(0.0, 0.5, (1, SPEC.parameters))
    step_sizes = alpha * rng.uniform(0.5, 1.5, SPEC.parameters)
    data = [(random_rollout(rng), rng.normal(size=(1, EPISODES, SLOTS))) for _ in range(steps + 1)]
    taken: list[Step] = []
    for rollout, advantage in data:
        taken.append(step_on(POLICY, current, rollout, advantage))
        current = current - step_sizes * taken[-1].gradient
    settings = MetaSettings(algorithm, inner_steps=steps, surrogate=kind)
    second = algorithm == "maml"
    outer = {steps: taken[-1].gradient}
    result = backpropagate(taken[:-1], outer, step_sizes, settings, second_order=second)
    losses = [torch_loss(kind, rollout, advantage) for rollout, advantage in data]
    expected = autograd.meta_gradient(
        torch.from_numpy(start[0]),
        torch.from_numpy(np.log(step_sizes)),
        losses[:-1],
        losses[-1],
        second_order=second,
    )
    return result[0][0], result[1][0], list(expected)


def torch_loss(
    kind: Surrogate, rollout: Rollout, advantage: npt.NDArray[np.float64]
) -> autograd.Loss:
    observations = torch.from_numpy(rollout.observations[0].reshape(-1, SPEC.observation_dim))
    actions = torch.from_numpy(rollout.samples[0].reshape(-1, SPEC.action_dim))
    weights = torch.from_numpy(advantage[0])

    def loss(flat: Tensor) -> Tensor:
        now = autograd.log_prob(SPEC, flat, observations, actions).reshape(EPISODES, SLOTS)
        return autograd.surrogate_loss(kind, now, now, weights)

    return loss


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("algorithm", ["maml", "fomaml"])
@pytest.mark.parametrize("kind", ["ratio", "dice"])
def test_the_written_out_meta_gradient_is_that_of_torch(
    steps: int, algorithm: Literal["maml", "fomaml"], kind: Surrogate
) -> None:
    gradient, by_step_size, expected = both_ways(steps, algorithm, kind)
    np.testing.assert_allclose(gradient, expected[0].numpy(), atol=1e-12)
    np.testing.assert_allclose(by_step_size, expected[1].numpy(), atol=1e-12)


def test_with_other_advantages_the_gradient_is_that_of_another_step() -> None:
    rng = np.random.default_rng(1)
    parameters, rollout = rng.normal(size=(1, SPEC.parameters)), random_rollout(rng)
    one, other = rng.normal(size=(2, 1, EPISODES, SLOTS))
    found = step_on(POLICY, parameters, rollout, one).gradient_with(other)
    np.testing.assert_array_equal(found, step_on(POLICY, parameters, rollout, other).gradient)


def test_judged_after_every_step_gradients_are_the_mean_of_those_judged_after_each() -> None:
    rng = np.random.default_rng(5)
    current = rng.normal(0.0, 0.5, (1, SPEC.parameters))
    step_sizes = 0.3 * rng.uniform(0.5, 1.5, SPEC.parameters)
    steps: list[Step] = []
    for _ in range(3):
        advantage = rng.normal(size=(1, EPISODES, SLOTS))
        steps.append(step_on(POLICY, current, random_rollout(rng), advantage))
        current = current - step_sizes * steps[-1].gradient
    outer = {taken: rng.normal(size=current.shape) for taken in (1, 2, 3)}
    settings = MetaSettings(inner_steps=3, judged="every")
    work = partial(backpropagate, step_sizes=step_sizes, settings=settings, second_order=True)
    together = work(steps, outer)
    alone = [work(steps[:n], {n: outer[n]}) for n in (1, 2, 3)]
    for found, each in zip(together, zip(*alone, strict=True), strict=True):
        np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-12)


def test_with_one_inner_step_every_step_is_the_last() -> None:
    (last,) = meta_gradients([1], replace(SETTINGS, inner_steps=1))
    (every,) = meta_gradients([1], replace(SETTINGS, inner_steps=1, judged="every"))
    np.testing.assert_array_equal(last.gradient, every.gradient)
    (last,) = meta_gradients([1], SETTINGS)
    (every,) = meta_gradients([1], replace(SETTINGS, judged="every"))
    assert np.abs(last.gradient - every.gradient).max() > 1e-3
    assert last.slots == every.slots


def gap(alpha: float) -> float:
    second, _, _ = both_ways(1, "maml", "ratio", alpha)
    first, _, _ = both_ways(1, "fomaml", "ratio", alpha)
    return float(np.linalg.norm(second - first) / np.linalg.norm(second))


def test_first_order_is_second_order_as_the_step_size_goes_to_0_and_only_then() -> None:
    assert gap(0.3) > 0.5
    assert gap(1e-6) < 1e-5
    assert gap(1e-4) / gap(1e-5) == pytest.approx(10.0, rel=0.01)


@pytest.mark.parametrize("exogenous", [True, False])
def test_twins_together_are_the_twins_one_by_one(*, exogenous: bool) -> None:
    together = meta_gradients([1, 2, 3], exogenous=exogenous)
    for seed, result in zip([1, 2, 3], together, strict=True):
        (alone,) = meta_gradients([seed], exogenous=exogenous)
        np.testing.assert_allclose(result.gradient, alone.gradient, atol=1e-6)
        np.testing.assert_allclose(result.step_size_gradient, alone.step_size_gradient, atol=1e-6)
        assert result.reward_after == pytest.approx(alone.reward_after, abs=1e-9)


def test_a_round_over_several_servers_is_the_round_on_one() -> None:
    names = [f"plvn-{number}" for number in range(4)]
    on_one = dict(zip(names, meta_gradients([0, 1, 2, 3]), strict=True))
    servers = meta_gradients([3, 1]) + meta_gradients([2]) + meta_gradients([0])
    on_three = dict(zip([names[3], names[1], names[2], names[0]], servers, strict=True))
    one, _ = average_gradients({name: row.gradient for name, row in on_one.items()})
    three, _ = average_gradients({name: row.gradient for name, row in on_three.items()})
    np.testing.assert_allclose(one, three, atol=1e-6)


def test_no_inner_step_is_the_plain_policy_gradient() -> None:
    (result,) = meta_gradients([1], replace(SETTINGS, inner_steps=0))
    assert result.slots == 3 * toy_spec().slots
    assert result.reward_before == result.reward_after
    assert not result.step_size_gradient.any()
    assert result.gradient.any()


def test_reptile_omits_the_last_emulation_and_points_back_along_its_steps() -> None:
    settings = replace(SETTINGS, algorithm="reptile", inner_steps=1)
    (reptile,) = meta_gradients([1], settings)
    (plain,) = meta_gradients([1], replace(SETTINGS, inner_steps=0))
    assert reptile.slots == plain.slots
    np.testing.assert_allclose(reptile.gradient, plain.gradient, atol=1e-6)


def test_reptile_without_an_inner_step_is_refused() -> None:
    with pytest.raises(SettingsError, match="at least 1"):
        meta_gradients([1], replace(SETTINGS, algorithm="reptile", inner_steps=0))


def test_a_reward_that_is_not_finite_never_becomes_a_gradient() -> None:
    parameters = initial_parameters(POLICY, np.random.default_rng(0))

    def broken(rng: np.random.Generator) -> ToyEpisodes:
        episodes = toy_episodes(3, rng)
        return replace(episodes, limit=float("nan"))

    with pytest.raises(NumericsError, match="twin 0 of the batch is not finite"):
        adaptation_gradient(
            POLICY,
            parameters,
            SETTINGS.initial_log_step_sizes(POLICY),
            broken,
            settings=SETTINGS,
            rng=np.random.default_rng(0),
        )


PRINT_HASH = """
from hashlib import sha256
from tests.learning.rounds import meta_gradients
print(sha256(meta_gradients([1, 2])[1].gradient.tobytes()).hexdigest())
"""


def test_the_same_seed_gives_the_same_bits_in_every_process() -> None:
    run = [sys.executable, "-c", PRINT_HASH]
    first, second = (
        subprocess.run(run, capture_output=True, check=True, text=True).stdout for _ in range(2)
    )
    assert first == second
    assert len(first) == 65
