"""The teacher's gaps in closed form, its gradient by finite differences, and that it escapes."""

import numpy as np
import pytest

from twintier.inmf.actor import Actor, PolicySpec
from twintier.inmf.evaluate import greedy_actions, mean_reward
from twintier.inmf.perception.condition import Condition, draw_conditions
from twintier.inmf.perception.emulator import EmulatorParameters, draw_trace
from twintier.inmf.perception.live import COOP_PERCEPTION, LiveEpisodes, all_modes, before
from twintier.inmf.spec import Mlp
from twintier.learning.aggregate import Adam
from twintier.learning.policy import Policy, initial_parameters
from twintier.learning.rollout import collect
from twintier.learning.teacher import gaps, teacher_gradient

SPEC = PolicySpec(COOP_PERCEPTION.observation_dim, COOP_PERCEPTION.actions, Mlp((16, 16)))
POLICY = Policy.of(SPEC)


def episodes(count: int, seed: int, *, nominal: bool = False) -> LiveEpisodes:
    rng = np.random.default_rng(seed)
    trace = draw_trace(EmulatorParameters(), count, COOP_PERCEPTION.slots, rng)
    return LiveEpisodes(trace, Condition() if nominal else draw_conditions(count, rng))


def test_choices_count_in_binary_from_the_first_component() -> None:
    assert all_modes(2).tolist() == [[False, False], [True, False], [False, True], [True, True]]


def test_a_gap_is_worth_of_a_component_around_the_best_others() -> None:
    values = np.array([0.0, 3.0, 5.0, -10.0])  # nobody, first, second, both
    # best: second alone; the first would break it (-10 - 5), the second adds 5 to nobody
    assert gaps(values).tolist() == [-15.0, 5.0]


def test_the_gradient_is_that_of_the_cost_sensitive_loss() -> None:
    batch, parameters = episodes(2, 1), initial_parameters(POLICY, np.random.default_rng(2))
    parameters[: SPEC.parameters - SPEC.action_dim] *= 3.0
    result = teacher_gradient(POLICY, parameters, batch, np.random.default_rng(3))
    visited = collect(POLICY, parameters, batch, [np.random.default_rng(3)])
    earlier = before(visited.actions.astype(bool))
    values = np.stack(
        [batch.outcome(earlier, np.broadcast_to(c, earlier.shape)).reward_j for c in all_modes(3)],
        -1,
    )
    gap = np.clip(gaps(values), -10, 10)

    def loss(at: np.ndarray) -> float:
        mean = Actor(SPEC, at).outputs(visited.observations).astype(np.float64)
        return float((np.abs(gap) * np.logaddexp(0.0, -np.sign(gap) * 1.702 * mean)).mean())

    assert np.isclose(result.adaptation_loss, loss(parameters), rtol=1e-5)
    rng = np.random.default_rng(4)
    for _ in range(5):
        direction = rng.normal(size=parameters.shape).astype(np.float32)
        direction /= np.linalg.norm(direction)
        step = 3e-3
        slope = (loss(parameters + step * direction) - loss(parameters - step * direction)) / (
            2 * step
        )
        assert np.isclose(slope, float(result.gradient @ direction), rtol=0.03, atol=2e-4)


def test_deviations_are_left_alone() -> None:
    parameters = initial_parameters(POLICY, np.random.default_rng(2))
    result = teacher_gradient(POLICY, parameters, episodes(2, 1), np.random.default_rng(3))
    assert result.gradient[-SPEC.action_dim :].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.slow
def test_it_learns_more_than_any_fixed_choice_earns() -> None:
    """Fixed modes are where policy gradient alone gets stuck; two seeds must get well past."""
    held_out = episodes(60, 99, nominal=True)
    fixed = max(
        mean_reward(held_out, np.broadcast_to(choice, held_out.trace.present.shape))
        for choice in all_modes(3)
    )
    for seed in (1, 2):
        rng = np.random.default_rng(seed)
        parameters, adam = initial_parameters(POLICY, rng), Adam(1e-2)
        for _ in range(120):
            batch = episodes(20, int(rng.integers(2**31)), nominal=True)
            parameters = adam.step(
                parameters, teacher_gradient(POLICY, parameters, batch, rng).gradient
            )
        reward = mean_reward(held_out, greedy_actions(Actor(SPEC, parameters), held_out))
        assert reward > 1.03 * fixed, f"seed {seed}: {reward:.3f} against {fixed:.3f}"
