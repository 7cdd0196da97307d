import numpy as np
import pytest
import torch

from twintier.inmf.actor import Actor, PolicySpec
from twintier.inmf.spec import MultiBinary
from twintier.learning import autograd
from twintier.learning.network import layers_of, orthogonalise
from twintier.learning.policy import (
    Policy,
    entropy,
    initial_parameters,
    outputs_of,
    reheated,
    with_free,
)

SPEC = PolicySpec(7, MultiBinary(3))
POLICY = Policy.of(SPEC)


def test_a_new_policy_is_a_fair_coin_with_the_entropy_of_a_unit_gaussian() -> None:
    flat = initial_parameters(POLICY, np.random.default_rng(0))
    observations = np.random.default_rng(1).normal(size=(200, 7)).astype(np.float32)
    assert np.abs(outputs_of(POLICY, flat, observations)).max() < 0.05
    assert entropy(POLICY, flat, observations) == pytest.approx(1.4189385)


def test_orthogonal_layers_have_their_gain_in_every_direction() -> None:
    flat = np.ones(SPEC.parameters)
    layers = layers_of(SPEC.sizes, flat)
    orthogonalise(layers, 0.01, np.random.default_rng(0))
    for (weights, biases), gain in zip(layers, (2**0.5, 2**0.5, 0.01), strict=True):
        directions = np.linalg.svd(weights, compute_uv=False)
        np.testing.assert_allclose(directions, gain, rtol=1e-12)
        assert not biases.any()


def test_reheating_keeps_every_greedy_action_and_restores_exploration() -> None:
    rng = np.random.default_rng(2)
    flat = (initial_parameters(POLICY, rng) + rng.normal(0.0, 0.5, SPEC.parameters)).astype("f4")
    cold = with_free(POLICY, flat, -1.5)
    observations = rng.normal(size=(500, 7)).astype(np.float32)
    warm = reheated(POLICY, cold, observations)
    before, after = (outputs_of(POLICY, policy, observations) for policy in (cold, warm))
    assert float(np.sqrt(np.mean(before**2))) > 2.0
    assert float(np.sqrt(np.mean(after**2))) == pytest.approx(1.0, abs=1e-5)
    assert ((before > 0) == (after > 0)).all()
    assert entropy(POLICY, warm, observations) == pytest.approx(1.4189385)


def test_reheating_does_not_blow_up_a_policy_that_knows_nothing() -> None:
    flat = initial_parameters(POLICY, np.random.default_rng(0))
    observations = np.random.default_rng(1).normal(size=(200, 7)).astype(np.float32)
    assert reheated(POLICY, flat, observations).tobytes() == flat.tobytes()


def test_the_vehicle_runs_the_same_policy_as_learning_and_torch() -> None:
    rng = np.random.default_rng(4)
    flat = rng.normal(0.0, 0.3, SPEC.parameters).astype(np.float32)
    observations = rng.normal(size=(100, 7)).astype(np.float32)
    here = outputs_of(POLICY, flat, observations)
    by_torch = autograd.network_outputs(
        SPEC.sizes, torch.from_numpy(flat), torch.from_numpy(observations)
    )
    np.testing.assert_allclose(Actor(SPEC, flat).outputs(observations), here, atol=1e-5)
    np.testing.assert_allclose(by_torch.numpy(), here, atol=1e-5)
