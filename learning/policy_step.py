"""A policy gradient on played episodes, with the Hessian that carries gradients back through it.

Many twins of one server are computed in one batch; each result is the same as if alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twintier.inmf.episodes import EpisodeBatch
from twintier.inmf.spec import InmfSpec
from twintier.learning import surrogate
from twintier.learning.engines.port import Array
from twintier.learning.likelihood import Likelihood
from twintier.learning.policy import Policy
from twintier.learning.ppo import linear_advantages, raw_advantages
from twintier.learning.rollout import Rollout, collect, twin_groups
from twintier.learning.surrogate import Surrogate


@dataclass(frozen=True, slots=True)
class Step:
    """A round of data and the policy gradient on it."""

    likelihoods: list[Likelihood]
    """Of each group of `twin_groups`, in order."""
    weight: Array
    """(twins, episodes, slots) derivative of the loss by each log-probability."""
    gradient: Array
    """(twins, n)."""
    reward: Array
    """(twins,) mean of a slot."""

    @property
    def slots(self) -> int:
        """Slots of the round, of each twin."""
        return int(self.weight[0].size)

    def gradient_with(self, advantage: Array) -> Array:
        """The gradient on the same data with other advantages, (twins, n)."""
        weight = surrogate.coefficient(advantage)
        rows = weight.reshape(weight.shape[0], -1)
        parts = [
            likelihood.gradient(rows[group])
            for likelihood, group in zip(self.likelihoods, self._groups(), strict=True)
        ]
        return np.concatenate(parts)

    def hessian_vector(self, vector: Array, kind: Surrogate) -> Array:
        """Product of the loss's Hessian by `vector`, (twins, n)."""
        parts = [
            _group_product(likelihood, self.weight[group], vector[group], kind)
            for likelihood, group in zip(self.likelihoods, self._groups(), strict=True)
        ]
        return np.concatenate(parts)

    def _groups(self) -> list[slice]:
        twins, episodes, slots = self.weight.shape
        return twin_groups(twins, episodes * slots)


def _group_product(likelihood: Likelihood, weight: Array, vector: Array, kind: Surrogate) -> Array:
    bend = surrogate.curvature(kind, weight)
    rows = (weight.shape[0], -1)

    def by_row(moved: Array) -> Array:
        return bend(moved.reshape(weight.shape)).reshape(rows)

    return likelihood.hessian_vector(weight.reshape(rows), vector, by_row)


def policy_gradient(
    policy: Policy,
    parameters: Array,
    batch: EpisodeBatch,
    rngs: Sequence[np.random.Generator],
    *,
    normalise: bool = True,
) -> Step:
    """Play a batch with (twins, n) parameters and differentiate the loss on it."""
    rollout = collect(policy, parameters, batch, rngs)
    advantage = advantage_of(batch.spec, rollout, normalise=normalise)
    return step_on(policy, parameters, rollout, advantage)


def advantage_of(inmf: InmfSpec, rollout: Rollout, *, normalise: bool) -> Array:
    """Advantages over the linear baseline, normalised for each twin or in the reward's unit."""
    advantages = linear_advantages if normalise else raw_advantages
    return advantages(inmf, rollout).astype(np.float32)


def step_on(policy: Policy, parameters: Array, rollout: Rollout, advantage: Array) -> Step:
    """The policy gradient on a given rollout, with advantages (twins, episodes, slots)."""
    twins = parameters.shape[0]
    weight = surrogate.coefficient(advantage)
    observations = rollout.observations.reshape(twins, -1, rollout.observations.shape[-1])
    samples = rollout.samples.reshape(twins, -1, rollout.samples.shape[-1])
    by_row = weight.reshape(twins, -1)
    gradient = np.empty_like(parameters)
    likelihoods = []
    for number, group in enumerate(twin_groups(twins, by_row.shape[1])):
        likelihood = Likelihood(
            policy,
            parameters[group],
            observations[group],
            samples[group],
            forward=rollout.passes[number] if rollout.passes else None,
        )
        gradient[group] = likelihood.gradient(by_row[group])
        likelihoods.append(likelihood)
    return Step(likelihoods, weight, gradient, rollout.rewards.mean(axis=(-2, -1)))
