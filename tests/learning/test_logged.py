"""Learning from true sampled slots: on-policy it is the emulated form, off-policy ratios clip."""

from dataclasses import replace

import numpy as np
import pytest

from tests.learning.bandits import Bandit, bandit_spec
from twintier.inmf.actor import Actor, PolicySpec
from twintier.inmf.evaluate import greedy_actions, mean_reward
from twintier.inmf.spec import ActionSpace, Box, Discrete, Mlp, MultiBinary
from twintier.learning.aggregate import Adam
from twintier.learning.engines.port import Array
from twintier.learning.errors import SettingsError
from twintier.learning.likelihood import Likelihood
from twintier.learning.logged import (
    LARGEST_RATIO,
    Logged,
    adapt_logged,
    clipped_ratio,
    logged_gradient,
    logged_step,
)
from twintier.learning.meta import MetaSettings, backpropagate
from twintier.learning.policy import Policy, Vector, initial_parameters, with_free
from twintier.learning.policy_step import advantage_of, step_on
from twintier.learning.ppo import Experience, PpoSettings, linear_advantages, update
from twintier.learning.rollout import Rollout, collect

SPACES: list[ActionSpace] = [MultiBinary(2), Discrete(3), Box((0.0,), (4.0,))]
every_space = pytest.mark.parametrize("space", SPACES, ids=lambda space: type(space).__name__)


def policy_of(space: ActionSpace) -> Policy:
    return Policy.of(PolicySpec(2, space, Mlp((16, 16))))


def drive(policy: Policy, flat: Vector, episodes: int, seed: int) -> Logged:
    """What a vehicle uploads that explores with this policy for so many episodes."""
    rng = np.random.default_rng(seed)
    batch = Bandit.draw(policy.spec.actions, episodes, rng)
    actor, inmf = Actor(policy.spec, flat), batch.spec
    seen = batch.observe_all()
    actions, samples, log_prob = actor.sample(seen, rng)
    rows = episodes * inmf.slots
    return Logged.of(
        inmf,
        seen.reshape(rows, -1),
        samples.reshape(rows, -1),
        log_prob.reshape(rows),
        batch.rewards(actions).reshape(rows),
    )


def as_rollout(logged: Logged) -> Rollout:
    """The same slots with a leading axis of one twin."""
    whole = logged.rollout
    return Rollout(
        whole.observations[None], whole.samples[None], whole.actions[None], whole.rewards[None]
    )


def test_the_newest_slots_make_whole_episodes() -> None:
    inmf = bandit_spec(Discrete(3), slots=4)
    rows = np.arange(11.0)
    logged = Logged.of(inmf, rows[:, None].astype("f4"), rows[:, None], -rows, 10 * rows)
    assert logged.rollout.rewards.tolist() == [[30, 40, 50, 60], [70, 80, 90, 100]]
    assert logged.log_prob.tolist() == [[-3, -4, -5, -6], [-7, -8, -9, -10]]
    older, newer = logged.halves()
    assert (older.log_prob[0, 0], newer.log_prob[0, 0]) == (-3.0, -7.0)


def test_fewer_than_two_episodes_are_no_meta_gradient() -> None:
    policy = policy_of(Discrete(3))
    flat = initial_parameters(policy, np.random.default_rng(0))
    settings = MetaSettings()
    with pytest.raises(SettingsError, match="1 logged episodes of 10 slots"):
        logged_gradient(
            policy,
            flat,
            settings.initial_log_step_sizes(policy),
            drive(policy, flat, 1, 0),
            settings=settings,
        )
    nothing = drive(policy, flat, 1, 0).part(slice(0))
    with pytest.raises(SettingsError, match="no whole episode"):
        adapt_logged(policy, flat, nothing, settings=PpoSettings(), rng=np.random.default_rng(0))


def test_ratios_are_clipped_above_and_say_where() -> None:
    moved: Array = np.log(np.array([0.5, 1.0, 2.0, 4.0]))
    ratio, free = clipped_ratio(moved, np.zeros(4))
    assert ratio == pytest.approx(np.array([0.5, 1.0, LARGEST_RATIO, LARGEST_RATIO]))
    assert free.tolist() == [True, True, True, False]


@every_space
def test_on_policy_a_logged_step_is_the_emulated_one(space: ActionSpace) -> None:
    policy = policy_of(space)
    flat = np.random.default_rng(1).normal(0.0, 0.4, policy.parameters).astype(np.float32)
    logged = drive(policy, flat, 3, 2)
    rollout = as_rollout(logged)
    advantage = advantage_of(logged.inmf, rollout, normalise=True)
    emulated = step_on(policy, flat[None], rollout, advantage)
    step = logged_step(policy, flat[None], logged)
    vector = np.random.default_rng(3).normal(size=(1, policy.parameters)).astype(np.float32)
    np.testing.assert_allclose(step.gradient, emulated.gradient, atol=1e-5)
    np.testing.assert_allclose(
        step.hessian_vector(vector, "ratio"), emulated.hessian_vector(vector, "ratio"), atol=1e-4
    )
    assert step.reward[0] == pytest.approx(float(logged.rollout.rewards.mean()), abs=1e-5)
    assert step.slots == 30


@every_space
@pytest.mark.parametrize("algorithm", ["maml", "fomaml"])
def test_a_logged_meta_gradient_adapts_to_the_older_and_is_judged_by_the_newer_half(
    space: ActionSpace, algorithm: str
) -> None:
    policy = policy_of(space)
    flat = np.random.default_rng(1).normal(0.0, 0.4, policy.parameters).astype(np.float32)
    logged = drive(policy, flat, 4, 2)
    settings = MetaSettings(algorithm, inner_steps=2, initial_step_size=0.05)
    logs = settings.initial_log_step_sizes(policy)
    result = logged_gradient(policy, flat, logs, logged, settings=settings)
    older, newer = logged.halves()
    first = logged_step(policy, flat[None], older)
    second = logged_step(policy, flat[None] - np.exp(logs) * first.gradient, older)
    end = flat[None] - np.exp(logs) * (first.gradient + second.gradient)
    outer = logged_step(policy, end, newer, normalise=False)
    expected, by_step_size = backpropagate(
        [first, second],
        {2: outer.gradient},
        np.exp(logs),
        settings,
        second_order=algorithm == "maml",
    )
    np.testing.assert_allclose(result.gradient, expected[0], atol=1e-5)
    np.testing.assert_allclose(result.step_size_gradient, by_step_size[0], atol=1e-5)
    assert result.slots == 3 * 20


def test_reptile_needs_no_newer_half_but_keeps_it_out() -> None:
    policy = policy_of(Discrete(3))
    flat = initial_parameters(policy, np.random.default_rng(0))
    settings = MetaSettings("reptile", inner_steps=1)
    logged = drive(policy, flat, 4, 2)
    logs = settings.initial_log_step_sizes(policy)
    result = logged_gradient(policy, flat, logs, logged, settings=settings)
    older, _ = logged.halves()
    np.testing.assert_allclose(
        result.gradient, logged_step(policy, flat[None], older).gradient[0], atol=1e-6
    )


def test_the_hessian_of_a_clipped_slot_is_that_of_a_constant_weight() -> None:
    policy = policy_of(Discrete(3))
    rng = np.random.default_rng(4)
    flat = rng.normal(0.0, 0.4, (1, policy.parameters))
    logged = drive(policy, flat[0].astype(np.float32), 3, 5)
    logged = replace(logged, log_prob=logged.log_prob + rng.normal(0.0, 1.0, logged.log_prob.shape))
    direction = rng.normal(size=flat.shape)
    step = logged_step(policy, flat, logged)
    assert 0 < int((~step.free).sum()) < step.slots

    def at(size: float) -> Array:
        return logged_step(policy, flat + size * direction, logged).gradient

    slope = (at(1e-5) - at(-1e-5)) / 2e-5
    np.testing.assert_allclose(step.hessian_vector(direction, "ratio"), slope, atol=1e-5)


def test_dice_is_refused_for_logged_slots() -> None:
    policy = policy_of(Discrete(3))
    flat = initial_parameters(policy, np.random.default_rng(0))
    step = logged_step(policy, flat[None], drive(policy, flat, 2, 0))
    with pytest.raises(SettingsError, match="'dice' does not fit"):
        step.hessian_vector(flat[None], "dice")


@every_space
def test_on_policy_logged_adaptation_is_a_plain_update(space: ActionSpace) -> None:
    policy, settings = policy_of(space), PpoSettings(learning_rate=3e-3)
    flat = initial_parameters(policy, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    rollout = collect(policy, flat, Bandit.draw(space, 5, rng), [rng])
    likelihood = Likelihood(
        policy, flat, rollout.observations.reshape(50, -1), rollout.samples.reshape(50, -1)
    )
    logged = Logged(bandit_spec(space), rollout, likelihood.log_prob.reshape(5, 10))
    found = adapt_logged(policy, flat, logged, settings=settings, rng=np.random.default_rng(2))
    experience = Experience.of(rollout, linear_advantages(bandit_spec(space), rollout))
    expected = update(
        policy, flat, experience, Adam(3e-3), settings=settings, rng=np.random.default_rng(2)
    )
    assert found.parameters.tobytes() == expected.tobytes()
    assert 0.9 < found.effective_share <= 1.0
    assert found.true_slots == 50


def test_a_candidate_far_from_what_sampled_has_few_effective_slots() -> None:
    policy = policy_of(Box((0.0,), (4.0,)))
    flat = initial_parameters(policy, np.random.default_rng(0))
    logged = drive(policy, flat, 5, 1)
    still = PpoSettings(learning_rate=1e-9)
    near, far = (
        adapt_logged(policy, start, logged, settings=still, rng=np.random.default_rng(2))
        for start in (flat, with_free(policy, flat, -1.0))
    )
    assert near.effective_share == pytest.approx(1.0, abs=1e-3)
    assert near.largest_ratio == pytest.approx(1.0, abs=1e-2)
    assert far.effective_share < 0.7
    assert far.largest_ratio == pytest.approx(np.e, rel=0.05)


@every_space
def test_a_vehicle_that_explores_learns_a_bandit_from_its_own_slots(space: ActionSpace) -> None:
    policy, settings = policy_of(space), PpoSettings(learning_rate=1e-2)
    rng = np.random.default_rng(3)
    flat, adam = initial_parameters(policy, rng), Adam(1e-2)
    judged = Bandit.draw(space, 40, np.random.default_rng(99))

    def share() -> float:
        actions = greedy_actions(Actor(policy.spec, flat), judged)
        return mean_reward(judged, actions) / float(judged.best().mean())

    before = share()
    for epoch in range(30):
        logged = drive(policy, flat, 20, 100 + epoch)
        flat = adapt_logged(policy, flat, logged, settings=settings, rng=rng, adam=adam).parameters
    assert share() > max(0.9, before + 0.1)
