"""What heads of all spaces do alike: greedy without noise, exploring again, learning."""

from dataclasses import replace

import numpy as np
import pytest

from tests.learning.bandits import Bandit, bandit_spec
from twintier.inmf.actor import Actor, PolicySpec
from twintier.inmf.evaluate import greedy_actions, mean_reward
from twintier.inmf.spec import ActionSpace, Box, Discrete, Mlp, MultiBinary
from twintier.learning.aggregate import Adam
from twintier.learning.errors import SettingsError
from twintier.learning.policy import Policy, entropy, initial_parameters, outputs_of, reheated
from twintier.learning.ppo import Experience, PpoSettings, linear_advantages, update
from twintier.learning.rollout import collect
from twintier.learning.teacher import pair_gaps, teacher_gradient

SPACES: list[ActionSpace] = [MultiBinary(2), Discrete(3), Box((0.0,), (4.0,))]
every_space = pytest.mark.parametrize("space", SPACES, ids=lambda space: type(space).__name__)


def policy_of(space: ActionSpace) -> Policy:
    return Policy.of(PolicySpec(2, space, Mlp((16, 16))))


@every_space
@pytest.mark.parametrize("exogenous", [True, False])
def test_without_noise_learning_acts_as_the_vehicle(space: ActionSpace, *, exogenous: bool) -> None:
    policy = policy_of(space)
    flat = np.random.default_rng(0).normal(0.0, 0.6, policy.parameters).astype(np.float32)
    batch = Bandit.draw(space, 5, np.random.default_rng(1))
    batch = replace(batch, exogenous=exogenous)
    played = collect(policy, flat, batch, None)
    vehicle = greedy_actions(Actor(policy.spec, flat), batch)
    assert played.actions.dtype == vehicle.dtype
    assert played.actions.astype(float) == pytest.approx(vehicle.astype(float), abs=1e-5)


@every_space
def test_reheating_keeps_greedy_actions_and_explores_again(space: ActionSpace) -> None:
    policy = policy_of(space)
    cold = np.random.default_rng(0).normal(0.0, 0.8, policy.parameters).astype(np.float32)
    seen = np.random.default_rng(1).normal(size=(300, 2)).astype(np.float32)
    warm = reheated(policy, cold, seen)
    before, after = (outputs_of(policy, flat, seen) for flat in (cold, warm))
    head = policy.head
    actions = [head.action(head.explore(one.copy(), np.zeros_like(one))) for one in (before, after)]
    assert actions[0].tolist() == actions[1].tolist()
    assert not policy.free(warm).any()
    if isinstance(space, Discrete):
        assert entropy(policy, warm, seen) > entropy(policy, cold, seen) + 0.1


def test_a_softmax_of_equal_logits_has_the_entropy_of_a_fair_die() -> None:
    policy = policy_of(Discrete(3))
    flat = initial_parameters(policy, np.random.default_rng(0))
    seen = np.zeros((4, 2), np.float32)
    assert entropy(policy, flat, seen) == pytest.approx(np.log(3.0))


@every_space
def test_ppo_learns_the_best_action_of_every_context(space: ActionSpace) -> None:
    policy, inmf = policy_of(space), bandit_spec(space)
    rng, settings = np.random.default_rng(3), PpoSettings(learning_rate=1e-2)
    flat, adam = initial_parameters(policy, rng), Adam(settings.learning_rate)
    for _ in range(30):
        rollout = collect(policy, flat, Bandit.draw(space, 20, rng), [rng])
        experience = Experience.of(rollout, linear_advantages(inmf, rollout))
        flat = update(policy, flat, experience, adam, settings=settings, rng=rng)
    judged = Bandit.draw(space, 40, np.random.default_rng(99))
    reward = mean_reward(judged, greedy_actions(Actor(policy.spec, flat), judged))
    assert reward > 0.9 * float(judged.best().mean())


def test_gaps_of_choices_are_their_differences() -> None:
    assert pair_gaps(np.array([1.0, 4.0])).tolist() == [[0.0, -3.0], [3.0, 0.0]]


def test_the_teacher_of_choices_has_the_gradient_of_its_loss_and_teaches() -> None:
    space = Discrete(3)
    policy, rng = policy_of(space), np.random.default_rng(4)
    flat, adam = initial_parameters(policy, rng), Adam(1e-2)
    batch = Bandit.draw(space, 4, rng)
    direction = rng.normal(size=flat.shape).astype(np.float32) * np.float32(1e-2)
    losses = [
        teacher_gradient(policy, flat + sign * direction, batch, rng).adaptation_loss
        for sign in (np.float32(1.0), np.float32(-1.0))
    ]
    slope = float(teacher_gradient(policy, flat, batch, rng).gradient @ direction)
    assert (losses[0] - losses[1]) / 2.0 == pytest.approx(slope, rel=0.02)
    for _ in range(60):
        step = teacher_gradient(policy, flat, Bandit.draw(space, 10, rng), rng)
        flat = adam.step(flat, step.gradient)
    judged = Bandit.draw(space, 40, np.random.default_rng(99))
    chosen = greedy_actions(Actor(policy.spec, flat), judged)
    assert mean_reward(judged, chosen) > 0.97 * float(judged.best().mean())


def test_real_numbers_have_no_teacher() -> None:
    space = Box((0.0,), (4.0,))
    policy, rng = policy_of(space), np.random.default_rng(0)
    flat = initial_parameters(policy, rng)
    with pytest.raises(SettingsError, match="no choices to score"):
        teacher_gradient(policy, flat, Bandit.draw(space, 1, rng), rng)
