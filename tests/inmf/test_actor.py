"""The numpy policy: layout of its vector, greedy modes, refusals."""

import numpy as np
import pytest

from twintier.inmf.actor import Actor, PolicySpec
from twintier.inmf.trajectory import ShapeError

SMALL = PolicySpec(2, 1, hidden=(3,))


def test_sizes_and_schema_of_the_platform_s_policy() -> None:
    spec = PolicySpec(13, 3)
    assert spec.schema_id == "gaussian-mlp/13-64-64-3/v1"
    assert spec.parameters == (13 + 1) * 64 + (64 + 1) * 64 + (64 + 1) * 3 + 3


def test_the_vector_holds_weights_biases_layer_by_layer_and_deviations_last() -> None:
    first = np.array([[0.1, -0.2, 0.3], [0.4, 0.5, -0.6]])
    biases = np.array([0.01, 0.02, 0.03])
    second = np.array([[0.7], [-0.8], [0.9]])
    flat = np.concatenate([first.ravel(), biases, second.ravel(), [0.05], [-1.0]])
    seen = np.array([0.5, -1.5], np.float32)
    hidden = np.tanh(seen @ first + biases)
    mean = Actor(SMALL, flat.astype(np.float32)).mean(seen)
    assert mean == pytest.approx(hidden @ second + 0.05, abs=1e-6)


def test_deviations_do_not_act() -> None:
    flat = np.random.default_rng(1).normal(size=SMALL.parameters).astype(np.float32)
    louder = flat.copy()
    louder[-1] += 3.0
    seen = np.array([0.5, -1.5], np.float32)
    assert (Actor(SMALL, flat).mean(seen) == Actor(SMALL, louder).mean(seen)).all()


@pytest.mark.parametrize(("bias", "cooperates"), [(0.0, True), (-1e-6, False), (1e-6, True)])
def test_a_mean_of_zero_is_cp(bias: float, *, cooperates: bool) -> None:
    flat = np.zeros(SMALL.parameters, np.float32)
    flat[-2] = bias
    assert Actor(SMALL, flat).modes(np.ones(2, np.float32)).tolist() == [cooperates]


def test_observations_together_are_observations_alone() -> None:
    spec = PolicySpec(13, 3)
    rng = np.random.default_rng(2)
    actor = Actor(spec, rng.normal(0.0, 0.3, spec.parameters).astype(np.float32))
    seen = rng.normal(size=(5, 4, 13)).astype(np.float32)
    together = actor.mean(seen)
    assert together.shape == (5, 4, 3)
    for index in np.ndindex(5, 4):
        assert actor.mean(seen[index]) == pytest.approx(together[index], abs=1e-5)


def test_later_changes_to_the_vector_do_not_reach_the_actor() -> None:
    flat = np.random.default_rng(3).normal(size=SMALL.parameters).astype(np.float32)
    actor, seen = Actor(SMALL, flat), np.ones(2, np.float32)
    first = actor.mean(seen).copy()
    flat[:] = 9.0
    assert (actor.mean(seen) == first).all()


def test_vectors_of_another_length_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"parameters \(7,\) must be \(14,\) for gaussian-mlp/2-3"):
        Actor(SMALL, np.zeros(7, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    flat = np.zeros(SMALL.parameters, np.float32)
    flat[4] = value
    with pytest.raises(ValueError, match="gaussian-mlp/2-3-1/v1 hold NaN or infinity"):
        Actor(SMALL, flat)
