"""ANIL: inner steps move the head only, and the outer gradient still reaches the body."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.learning.rounds import POLICY, SETTINGS, SPEC, meta_gradients
from twintier.learning.autograd import log_prob, surrogate_loss
from twintier.learning.errors import SettingsError
from twintier.learning.learners.registry import learner_of
from twintier.learning.meta import MetaSettings, backpropagate
from twintier.learning.policy import initial_parameters
from twintier.learning.policy_step import Step, step_on
from twintier.learning.rollout import Rollout
from twintier.learning.surrogate import Surrogate

EPISODES, SLOTS, STEPS = 3, 4, 2
ANIL = MetaSettings(inner_steps=STEPS, adapted="head", initial_step_size=0.3)
HEAD = slice(int(np.flatnonzero(POLICY.adapts)[0]), SPEC.parameters)


def data(rng: np.random.Generator) -> list[tuple[Rollout, Tensor]]:
    shape = (1, EPISODES, SLOTS)
    rounds = []
    for _ in range(STEPS + 1):
        actions = rng.normal(size=(*shape, SPEC.action_dim))
        seen = rng.normal(size=(*shape, SPEC.observation_dim))
        rollout = Rollout(
            seen,  # type: ignore[arg-type]  # doubles here
            actions,
            actions > 0,
            rng.normal(size=shape),
        )
        rounds.append((rollout, torch.from_numpy(rng.normal(size=shape[1:]))))
    return rounds


def loss_of(kind: Surrogate, rollout: Rollout, advantage: Tensor, flat: Tensor) -> Tensor:
    seen = torch.from_numpy(rollout.observations[0].reshape(-1, SPEC.observation_dim))
    done = torch.from_numpy(rollout.samples[0].reshape(-1, SPEC.action_dim))
    now = log_prob(SPEC, flat, seen, done).reshape(EPISODES, SLOTS)
    return surrogate_loss(kind, now, now, advantage)


def by_torch(kind: Surrogate, start: Tensor, rounds: list[tuple[Rollout, Tensor]]) -> Tensor:
    """The head alone is differentiated and moved; the body is never part of an inner step."""
    flat = start.requires_grad_()
    body, head = flat[: HEAD.start], flat[HEAD]
    for rollout, advantage in rounds[:-1]:
        loss = loss_of(kind, rollout, advantage, torch.cat([body, head]))
        (slope,) = torch.autograd.grad(loss, head, create_graph=True)
        head = head - ANIL.initial_step_size * slope
    outer = loss_of(kind, *rounds[-1], torch.cat([body, head]))
    return torch.autograd.grad(outer, flat)[0]


@pytest.mark.parametrize("kind", ["ratio", "dice"])
def test_the_gradient_is_that_of_differentiating_the_head_alone(kind: Surrogate) -> None:
    rng = np.random.default_rng(3)
    current = start = rng.normal(0.0, 0.5, (1, SPEC.parameters))
    step_sizes = np.where(np.arange(SPEC.parameters) < HEAD.start, 0.0, ANIL.initial_step_size)
    rounds, taken = data(rng), list[Step]()
    for rollout, advantage in rounds:
        taken.append(step_on(POLICY, current, rollout, advantage.numpy()[None]))
        current = current - step_sizes * taken[-1].gradient
    settings = replace(ANIL, surrogate=kind)
    gradient, by_step_size = backpropagate(
        taken[:-1], {STEPS: taken[-1].gradient}, step_sizes, settings, second_order=True
    )
    expected = by_torch(kind, torch.from_numpy(start[0]), rounds)
    np.testing.assert_allclose(gradient[0], expected.numpy(), atol=1e-12)
    assert gradient[0, : HEAD.start].any()
    assert not by_step_size[0, : HEAD.start].any()


def test_step_sizes_of_the_body_are_0_and_finite_as_logarithms() -> None:
    logarithms = ANIL.initial_log_step_sizes(POLICY)
    assert np.isfinite(logarithms).all()
    assert not np.exp(logarithms[: HEAD.start]).any()
    assert np.exp(logarithms[HEAD]) == pytest.approx(0.3)


def test_the_head_is_the_last_layer_and_the_deviations() -> None:
    assert HEAD.stop - HEAD.start == (5 + 1) * SPEC.action_dim + SPEC.action_dim
    assert POLICY.adapts[HEAD].all()
    assert not POLICY.adapts[: HEAD.start].any()
    assert initial_parameters(POLICY, np.random.default_rng(0))[HEAD].size == 14


def test_anil_is_another_gradient_than_maml() -> None:
    head, everything = (
        meta_gradients([1], replace(SETTINGS, adapted=adapted))[0] for adapted in ("head", "all")
    )
    assert head.slots == everything.slots
    assert not np.allclose(head.gradient, everything.gradient, atol=1e-4)


def test_reptile_with_the_head_alone_is_refused() -> None:
    with pytest.raises(SettingsError, match="leaves the body where it was"):
        learner_of("reptile").check(MetaSettings("reptile", adapted="head"))
