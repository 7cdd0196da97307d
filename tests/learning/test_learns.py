"""Short seeded runs on a world whose best policy is known: True where x is above 0."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from tests.learning.toys import ToyEpisodes, toy_episodes, toy_spec
from twintier.inmf.actor import PolicySpec
from twintier.inmf.episodes import Actions, Memory
from twintier.inmf.spec import Array, Mask, Mlp, MultiBinary, Observation
from twintier.learning import autograd
from twintier.learning.adapt import AdaptationSettings, adapt, replay
from twintier.learning.aggregate import Adam
from twintier.learning.errors import NumericsError
from twintier.learning.policy import Policy, Vector, initial_parameters
from twintier.learning.ppo import (
    Experience,
    PpoSettings,
    clipped_gradient,
    linear_advantages,
    update,
)
from twintier.learning.rollout import collect, mean_reward

SPEC = PolicySpec(4, MultiBinary(2), Mlp((16, 16)))
POLICY = Policy.of(SPEC)
BEST = 0.5
"""Two pairs, each with mean max(x, 0) of 1/4."""
SHORT = AdaptationSettings(updates=6, episodes=20, evaluation_episodes=20)


def greedy_reward(flat: Vector) -> float:
    return mean_reward(collect(POLICY, flat, toy_episodes(50, np.random.default_rng(99)), None))


@pytest.mark.parametrize("exogenous", [True, False])
def test_ppo_beats_a_random_policy_on_every_seed(*, exogenous: bool) -> None:
    for seed in range(3):
        rng, settings = np.random.default_rng(seed), PpoSettings(learning_rate=3e-3)
        flat, adam = initial_parameters(POLICY, rng), Adam(settings.learning_rate)
        for _ in range(15):
            rollout = collect(POLICY, flat, toy_episodes(20, rng, exogenous=exogenous), [rng])
            experience = Experience.of(rollout, linear_advantages(toy_spec(), rollout))
            flat = update(
                POLICY, flat, experience, adam, settings=PpoSettings(learning_rate=3e-3), rng=rng
            )
        assert greedy_reward(flat) > 0.8 * BEST


def test_one_pass_for_exogenous_states_is_the_loop_over_slots() -> None:
    flat = initial_parameters(POLICY, np.random.default_rng(0))
    episodes = toy_episodes(4, np.random.default_rng(1), exogenous=True)
    at_once = collect(POLICY, flat, episodes, [np.random.default_rng(2)])

    class SlotBySlot(ToyEpisodes):
        def observe(self, slot: int, memory: Memory) -> Observation:
            del memory
            return super().observe(slot, self.first_memory())

    stepped = SlotBySlot(episodes.spec, episodes.x)
    by_slot = collect(POLICY, flat, stepped, [np.random.default_rng(2)])
    np.testing.assert_allclose(at_once.samples, by_slot.samples, atol=1e-6)
    np.testing.assert_allclose(at_once.rewards, by_slot.rewards)


def test_the_clipped_gradient_is_that_of_torch() -> None:
    rng = np.random.default_rng(3)
    flat = rng.normal(0.0, 0.4, SPEC.parameters)
    rows = 40
    experience = Experience(
        rng.normal(size=(rows, 4)), rng.normal(size=(rows, 2)), rng.normal(size=rows)
    )
    before = rng.normal(-3.0, 0.5, rows)
    result = clipped_gradient(
        POLICY, flat, experience, before, PpoSettings(entropy_coefficient=0.1)
    )
    parameters = torch.from_numpy(flat).requires_grad_()
    observations, actions, advantage = map(
        torch.from_numpy, (experience.observations, experience.samples, experience.advantage)
    )
    now = autograd.log_prob(SPEC, parameters, observations, actions)
    ratio = (now - torch.from_numpy(before)).exp()
    loss = -torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
    loss = loss - 0.1 * parameters[-2:].sum()
    (expected,) = torch.autograd.grad(loss, parameters)
    np.testing.assert_allclose(result, expected.numpy(), atol=1e-12)


def test_normalised_minibatches_are_those_of_advantages_normalised_before() -> None:
    rng = np.random.default_rng(3)
    flat = rng.normal(0.0, 0.4, SPEC.parameters)
    seen, done, advantage = rng.normal(size=(9, 4)), rng.normal(size=(9, 2)), rng.normal(size=9)
    before = rng.normal(-3.0, 0.5, 9)
    scaled = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    result, expected = (
        clipped_gradient(POLICY, flat, Experience(seen, done, weight), before, settings)
        for weight, settings in (
            (3.0 * advantage + 1.0, PpoSettings(normalise_minibatches=True)),
            (scaled, PpoSettings()),
        )
    )
    np.testing.assert_allclose(result, expected, atol=1e-7)


def test_a_batch_that_is_not_finite_leaves_the_last_good_parameters() -> None:
    flat = initial_parameters(POLICY, np.random.default_rng(0))
    kept = flat.copy()
    experience = Experience(np.ones((5, 4), "f4"), np.ones((5, 2), "f4"), np.full(5, np.nan, "f4"))
    with pytest.raises(NumericsError, match="lower the learning rate"):
        update(
            POLICY,
            flat,
            experience,
            Adam(1e-3),
            settings=PpoSettings(),
            rng=np.random.default_rng(0),
        )
    assert flat.tobytes() == kept.tobytes()


def test_adaptation_learns_the_condition_and_says_what_it_used() -> None:
    flat = initial_parameters(POLICY, np.random.default_rng(0))
    result = adapt(POLICY, flat, toy_episodes, settings=SHORT, rng=np.random.default_rng(1))
    assert greedy_reward(result.parameters) > 0.8 * BEST
    assert result.updates == 6
    assert (result.synthetic_slots, result.true_slots) == (6 * 20 * 12, 0)
    assert len(result.reward_curve) == 7


def test_adaptation_is_never_worse_than_its_start_on_the_common_traces() -> None:
    good = adapt(
        POLICY,
        initial_parameters(POLICY, np.random.default_rng(0)),
        toy_episodes,
        settings=replace(SHORT, updates=12),
        rng=np.random.default_rng(1),
    ).parameters
    wild = replace(SHORT, updates=2, ppo=PpoSettings(learning_rate=3.0))
    again = adapt(POLICY, good, toy_episodes, settings=wild, rng=np.random.default_rng(2))
    assert min(again.reward_curve) < again.reward_curve[0]
    assert again.parameters.tobytes() == good.tobytes()


def test_learned_step_sizes_are_used_before_ppo() -> None:
    flat = initial_parameters(POLICY, np.random.default_rng(0))
    settings = replace(SHORT, updates=0, meta_steps=3)
    result = adapt(
        POLICY,
        flat,
        toy_episodes,
        settings=settings,
        rng=np.random.default_rng(1),
        log_step_sizes=np.zeros_like(flat),
    )
    assert result.updates == 3
    assert result.synthetic_slots == 3 * 10 * 12
    assert max(result.reward_curve) > result.reward_curve[0] + 0.1


def test_a_plain_step_beyond_the_finite_numbers_ends_them_and_costs_nothing() -> None:
    flat = initial_parameters(POLICY, np.random.default_rng(0))

    def hard(episodes: int, rng: np.random.Generator) -> ToyEpisodes:
        """Doing nothing, as NaN does, would be the best here."""
        return replace(toy_episodes(episodes, rng), limit=2.0)

    for log_step_size, halted in ((0.0, False), (88.0, True)):
        result = adapt(
            POLICY,
            flat,
            hard,
            settings=replace(SHORT, updates=2),
            rng=np.random.default_rng(1),
            log_step_sizes=np.full_like(flat, log_step_size),
        )
        assert bool(result.halted) == halted
        assert (result.updates < 5) == halted
        assert np.isfinite(result.parameters).all()


def test_the_same_seed_adapts_to_the_same_bits() -> None:
    flat = initial_parameters(POLICY, np.random.default_rng(0))
    runs = [
        adapt(POLICY, flat, toy_episodes, settings=SHORT, rng=np.random.default_rng(5))
        for _ in range(2)
    ]
    assert runs[0].parameters.tobytes() == runs[1].parameters.tobytes()


@dataclass(frozen=True)
class ToyReplay(ToyEpisodes):
    """A vehicle that always did True and measured the same in every slot."""

    reward: float = 0.0

    def measured(self, actions: Actions) -> tuple[Array, Mask]:
        same: Mask = np.all(actions, axis=-1)
        same[:, 1:] &= np.all(actions, axis=-1)[:, :-1]
        return np.where(same, self.reward, self.rewards(actions)), same


def true_episodes(reward: float) -> ToyReplay:
    episodes = toy_episodes(2, np.random.default_rng(0))
    return ToyReplay(episodes.spec, episodes.x, reward=reward)


def test_a_measured_reward_stands_only_where_the_vehicle_did_the_same() -> None:
    true = true_episodes(100.0)
    flat = initial_parameters(POLICY, np.random.default_rng(0))
    rollout, measured = replay(POLICY, flat, true, np.random.default_rng(1))
    same = true.measured(rollout.actions)[1]
    assert measured == int(same.sum()) > 0
    assert (rollout.rewards[same] == 100.0).all()
    assert (rollout.rewards[~same] < 10.0).all()


def test_measured_rewards_that_contradict_the_emulator_move_the_policy() -> None:
    flat = initial_parameters(POLICY, np.random.default_rng(0))
    settings = replace(SHORT, updates=8, episodes=2, ppo=PpoSettings(learning_rate=1e-2))
    alone = adapt(POLICY, flat, toy_episodes, settings=settings, rng=np.random.default_rng(1))
    with_true = adapt(
        POLICY,
        flat,
        toy_episodes,
        settings=settings,
        rng=np.random.default_rng(1),
        true=true_episodes(2.0),
    )
    assert with_true.true_slots > 0
    assert with_true.synthetic_slots == 8 * (2 + 2) * 12 - with_true.true_slots
    assert with_true.parameters.tobytes() != alone.parameters.tobytes()
