import numpy as np
import pytest

from twintier.inmf.trajectory import ShapeError
from twintier.learning.gae import advantages, normalised, returns
from twintier.learning.linear_value import predict


def test_one_reward_is_discounted_back_to_each_slot() -> None:
    reward = np.array([[0.0, 0.0, 8.0]])
    assert returns(reward, gamma=0.5).tolist() == [[2.0, 4.0, 8.0]]


def test_one_reward_without_values_is_weighed_by_gamma_and_lambda() -> None:
    reward = np.array([[0.0, 0.0, 16.0]])
    result = advantages(reward, np.zeros((1, 4)), gamma=0.5, gae_lambda=0.5)
    assert result.tolist() == [[1.0, 4.0, 16.0]]


def test_a_constant_value_that_is_right_leaves_no_advantage() -> None:
    reward = np.full((2, 5), 3.0)
    value = np.full((2, 6), 30.0)
    result = advantages(reward, value, gamma=0.9, gae_lambda=0.7)
    np.testing.assert_allclose(result, 0.0, atol=1e-12)


def test_lambda_one_is_the_return_less_the_value() -> None:
    rng = np.random.default_rng(1)
    reward, value = rng.normal(size=(3, 7)), rng.normal(size=(3, 8))
    value[:, -1] = 0.0
    result = advantages(reward, value, gamma=0.8, gae_lambda=1.0)
    np.testing.assert_allclose(result, returns(reward, gamma=0.8) - value[:, :-1], atol=1e-12)


def test_lambda_zero_is_the_one_slot_error() -> None:
    reward, value = np.array([[1.0, 2.0]]), np.array([[10.0, 20.0, 40.0]])
    result = advantages(reward, value, gamma=0.5, gae_lambda=0.0)
    assert result.tolist() == [[1.0, 2.0]]


def test_a_value_without_its_last_column_is_refused() -> None:
    with pytest.raises(ShapeError, match="one slot more"):
        advantages(np.zeros((1, 3)), np.zeros((1, 3)), gamma=1.0, gae_lambda=1.0)


def test_normalised_advantages_have_mean_0_and_spread_1_for_each_twin() -> None:
    result = normalised(np.random.default_rng(2).normal(3.0, 5.0, (4, 10, 20)))
    np.testing.assert_allclose(result.mean(axis=(1, 2)), 0.0, atol=1e-12)
    np.testing.assert_allclose(result.std(axis=(1, 2)), 1.0, atol=1e-6)


def test_the_linear_baseline_fits_what_is_linear_in_its_features() -> None:
    rng = np.random.default_rng(3)
    observations = rng.normal(size=(6, 9, 2)).astype(np.float32)
    time = np.arange(9) / 8
    target = 2.0 * observations[..., 0] - observations[..., 1] ** 2 + time**3 + 5.0
    value = predict(observations, target)
    np.testing.assert_allclose(value[:, :-1], target, atol=2e-3)
    assert value[:, -1].tolist() == [0.0] * 6


def test_the_linear_baseline_fits_each_twin_apart() -> None:
    rng = np.random.default_rng(4)
    observations = rng.normal(size=(2, 6, 9, 3)).astype(np.float32)
    target = rng.normal(size=(2, 6, 9))
    both = predict(observations, target)
    for twin in range(2):
        np.testing.assert_allclose(both[twin], predict(observations[twin], target[twin]))
