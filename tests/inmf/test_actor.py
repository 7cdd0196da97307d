"""The numpy policy: layout of its vector, greedy modes, refusals."""

import numpy as np
import pytest

from twintier.inmf.actor import Actor, PolicySpec, action_of
from twintier.inmf.spec import Box, Discrete, Mlp, MultiBinary
from twintier.inmf.trajectory import ShapeError
from twintier.learning.likelihood import Likelihood
from twintier.learning.policy import Policy

SMALL = PolicySpec(2, MultiBinary(1), Mlp((3,)))


def test_sizes_and_schema_of_the_platform_s_policy() -> None:
    spec = PolicySpec(13, MultiBinary(3))
    assert spec.schema_id == "gaussian-mlp/13-64-64-3/v1"
    assert spec.parameters == (13 + 1) * 64 + (64 + 1) * 64 + (64 + 1) * 3 + 3


def test_the_vector_holds_weights_biases_layer_by_layer_and_deviations_last() -> None:
    first = np.array([[0.1, -0.2, 0.3], [0.4, 0.5, -0.6]])
    biases = np.array([0.01, 0.02, 0.03])
    second = np.array([[0.7], [-0.8], [0.9]])
    flat = np.concatenate([first.ravel(), biases, second.ravel(), [0.05], [-1.0]])
    seen = np.array([0.5, -1.5], np.float32)
    hidden = np.tanh(seen @ first + biases)
    mean = Actor(SMALL, flat.astype(np.float32)).outputs(seen)
    assert mean == pytest.approx(hidden @ second + 0.05, abs=1e-6)


def test_deviations_do_not_act() -> None:
    flat = np.random.default_rng(1).normal(size=SMALL.parameters).astype(np.float32)
    louder = flat.copy()
    louder[-1] += 3.0
    seen = np.array([0.5, -1.5], np.float32)
    assert (Actor(SMALL, flat).outputs(seen) == Actor(SMALL, louder).outputs(seen)).all()


@pytest.mark.parametrize(("bias", "cooperates"), [(0.0, True), (-1e-6, False), (1e-6, True)])
def test_a_mean_of_zero_is_cp(bias: float, *, cooperates: bool) -> None:
    flat = np.zeros(SMALL.parameters, np.float32)
    flat[-2] = bias
    assert Actor(SMALL, flat).act(np.ones(2, np.float32)).tolist() == [cooperates]


def test_observations_together_are_observations_alone() -> None:
    spec = PolicySpec(13, MultiBinary(3))
    rng = np.random.default_rng(2)
    actor = Actor(spec, rng.normal(0.0, 0.3, spec.parameters).astype(np.float32))
    seen = rng.normal(size=(5, 4, 13)).astype(np.float32)
    together = actor.outputs(seen)
    assert together.shape == (5, 4, 3)
    for index in np.ndindex(5, 4):
        assert actor.outputs(seen[index]) == pytest.approx(together[index], abs=1e-5)


def test_later_changes_to_the_vector_do_not_reach_the_actor() -> None:
    flat = np.random.default_rng(3).normal(size=SMALL.parameters).astype(np.float32)
    actor, seen = Actor(SMALL, flat), np.ones(2, np.float32)
    first = actor.outputs(seen).copy()
    flat[:] = 9.0
    assert (actor.outputs(seen) == first).all()


def test_vectors_of_another_length_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"parameters \(7,\) must be \(14,\) for gaussian-mlp/2-3"):
        Actor(SMALL, np.zeros(7, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    flat = np.zeros(SMALL.parameters, np.float32)
    flat[4] = value
    with pytest.raises(ValueError, match="gaussian-mlp/2-3-1/v1 hold NaN or infinity"):
        Actor(SMALL, flat)


CHOICE = PolicySpec(2, Discrete(4), Mlp((3,)))
DIAL = PolicySpec(2, Box((0.0, -1.0), (10.0, 1.0)), Mlp((3,)))


def test_a_choice_has_a_logit_each_and_no_deviations() -> None:
    assert CHOICE.parameters == (2 + 1) * 3 + (3 + 1) * 4
    assert CHOICE.schema_id == "categorical-mlp/2-3-4/v1"
    flat = np.zeros(CHOICE.parameters, np.float32)
    flat[-4:] = [0.1, 0.3, 0.2, 0.0]
    chosen = Actor(CHOICE, flat).act(np.ones((5, 2), np.float32))
    assert chosen.dtype == np.int64
    assert chosen.tolist() == [[1]] * 5


def test_a_number_is_in_half_ranges_from_the_middle_and_clipped() -> None:
    assert DIAL.parameters == (2 + 1) * 3 + (3 + 1) * 2 + 2
    flat = np.zeros(DIAL.parameters, np.float32)
    flat[-4:-2] = [0.5, -7.0]
    assert Actor(DIAL, flat).act(np.ones(2, np.float32)).tolist() == [7.5, -1.0]


def test_a_number_without_limits_is_the_sample_itself() -> None:
    space = Box((-np.inf, 0.0), (np.inf, np.inf))
    assert action_of(space, np.array([-3.5, -0.5])).tolist() == [-3.5, 0.0]


@pytest.mark.parametrize("spec", [SMALL, CHOICE, DIAL], ids=lambda spec: spec.head)
def test_a_sample_is_as_likely_as_learning_says(spec: PolicySpec) -> None:
    rng = np.random.default_rng(5)
    flat = rng.normal(0.0, 0.7, spec.parameters).astype(np.float32)
    seen = rng.normal(size=(40, 2)).astype(np.float32)
    action, sample, log_prob = Actor(spec, flat).sample(seen, np.random.default_rng(6))
    assert action.shape == sample.shape == (40, spec.action_dim)
    assert (action == action_of(spec.actions, sample)).all()
    expected = Likelihood(Policy.of(spec), flat, seen, sample).log_prob
    assert log_prob == pytest.approx(expected, abs=1e-5)


def test_choices_are_sampled_as_often_as_their_softmax_says() -> None:
    flat = np.zeros(CHOICE.parameters, np.float32)
    flat[-4:] = np.log([0.1, 0.2, 0.3, 0.4])
    seen = np.zeros((20_000, 2), np.float32)
    _, sample, _ = Actor(CHOICE, flat).sample(seen, np.random.default_rng(7))
    shares = np.bincount(sample[:, 0].astype(int), minlength=4) / 20_000
    assert shares == pytest.approx(np.array([0.1, 0.2, 0.3, 0.4]), abs=0.01)


def test_the_same_generator_explores_alike() -> None:
    actor = Actor(DIAL, np.zeros(DIAL.parameters, np.float32))
    seen = np.ones((3, 2), np.float32)
    one, other = (actor.sample(seen, np.random.default_rng(8))[1] for _ in range(2))
    assert one.tolist() == other.tolist()
