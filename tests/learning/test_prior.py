"""The prior: its gradient is the plain one, and its optimiser is its own."""

import numpy as np
import pytest

from tests.learning.bandits import Bandit
from tests.learning.toys import toy_episodes
from twintier.inmf.actor import PolicySpec
from twintier.inmf.spec import Discrete, Mlp, MultiBinary
from twintier.learning.aggregate import MetaOptimizer
from twintier.learning.emulated import adaptation_gradient
from twintier.learning.errors import NumericsError
from twintier.learning.meta import MetaSettings
from twintier.learning.policy import Policy, initial_parameters
from twintier.learning.prior import prior_gradient
from twintier.learning.rollout import collect, mean_reward
from twintier.learning.teacher import teacher_gradient

POLICY = Policy.of(PolicySpec(4, MultiBinary(2), Mlp((16, 16))))


def test_the_gradient_of_the_prior_is_that_of_no_inner_step() -> None:
    flat = initial_parameters(POLICY, np.random.default_rng(0))
    settings = MetaSettings(inner_steps=0, episodes=3)
    plain = adaptation_gradient(
        POLICY,
        flat,
        settings.initial_log_step_sizes(POLICY),
        lambda rng: toy_episodes(3, rng),
        settings=settings,
        rng=np.random.default_rng(1),
    )
    rng = np.random.default_rng(1)
    found = prior_gradient(POLICY, flat, toy_episodes(3, rng), rng)
    assert found.tolist() == plain.gradient.tolist()
    assert plain.prior_gradient is None


def test_a_taught_prior_has_the_teacher_s_gradient() -> None:
    policy = Policy.of(PolicySpec(2, Discrete(3), Mlp((6,))))
    flat = initial_parameters(policy, np.random.default_rng(0))
    batch = Bandit.draw(Discrete(3), 2, np.random.default_rng(1))
    found = prior_gradient(policy, flat, batch, np.random.default_rng(2), taught=True)
    expected = teacher_gradient(policy, flat, batch, np.random.default_rng(2)).gradient
    assert found.tolist() == expected.tolist()


def test_a_reward_that_is_not_finite_never_reaches_the_prior() -> None:
    flat = initial_parameters(POLICY, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    with pytest.raises(NumericsError, match="prior's gradient is not finite"):
        prior_gradient(POLICY, flat, toy_episodes(2, rng, limit=float("nan")), rng)


def test_the_prior_learns_the_mixture_by_steps_of_its_own() -> None:
    rng, optimizer = np.random.default_rng(2), MetaOptimizer(prior_learning_rate=1e-2)
    prior = initial_parameters(POLICY, rng)
    for _ in range(40):
        gradients = [prior_gradient(POLICY, prior, toy_episodes(10, rng), rng) for _ in range(2)]
        prior = optimizer.step_prior(prior, np.mean(gradients, axis=0))
    judged = toy_episodes(40, np.random.default_rng(99))
    assert mean_reward(collect(POLICY, prior, judged, None)) > 0.8 * 0.5
    assert optimizer.parameters_adam.steps == 0


def row(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def test_the_prior_s_optimiser_goes_on_after_a_restore() -> None:
    whole, half = MetaOptimizer(decay_steps=4), MetaOptimizer(decay_steps=4)
    gradients = [row(1, -2), row(3, 0.5), row(-1, 1)]
    expected = result = row(0, 0)
    for gradient in gradients:
        expected = whole.step_prior(expected, gradient)
    result = half.step_prior(result, gradients[0])
    resumed = MetaOptimizer(decay_steps=4)
    resumed.restore(half.state())
    for gradient in gradients[1:]:
        result = resumed.step_prior(result, gradient)
    assert result.tobytes() == expected.tobytes()
    assert "parameters.mean" not in half.state()


def test_a_state_without_a_prior_is_restored_as_it_is() -> None:
    earlier = MetaOptimizer()
    earlier.step(row(1), row(0), row(1), row(0))
    state = {name: value for name, value in earlier.state().items() if "prior" not in name}
    resumed = MetaOptimizer()
    resumed.restore(state)
    assert (resumed.parameters_adam.steps, resumed.prior_adam.steps) == (1, 0)


@pytest.mark.parametrize("bad", [np.nan, 1e20])
def test_a_prior_s_step_beyond_the_finite_numbers_changes_nothing(bad: float) -> None:
    optimizer = MetaOptimizer()
    optimizer.step_prior(row(1), row(1))
    before = {name: value.tolist() for name, value in optimizer.state().items()}
    with pytest.raises(NumericsError, match="stays"):
        optimizer.step_prior(row(1), row(bad))
    assert {name: value.tolist() for name, value in optimizer.state().items()} == before
