"""Proximal policy optimisation: one update from one batch of episodes.

Gradients are written out by hand (`learning.likelihood`) and Adam works on the flat vector, so an
update is a few hundred numpy calls and nothing else.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twintier.inmf.spec import Array as Values
from twintier.inmf.spec import InmfSpec
from twintier.learning import gae
from twintier.learning import linear_value as baseline
from twintier.learning.aggregate import Adam
from twintier.learning.engines.port import Array
from twintier.learning.errors import NumericsError
from twintier.learning.likelihood import Likelihood
from twintier.learning.policy import Policy, Vector
from twintier.learning.rollout import Rollout

Order = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PpoSettings:
    """Hyper-parameters of an update; the paper names PPO and gives none, so all are assumed."""

    clip: float = 0.2
    """Largest change of the probability ratio that is rewarded (epsilon)."""
    learning_rate: float = 1e-3
    """Step size of Adam."""
    passes: int = 5
    """Passes over the batch (the case study's figures were reached with 5)."""
    minibatch_slots: int = 125
    """Slots of a minibatch; 750 slots then make six."""
    normalise_minibatches: bool = False
    """Whether each minibatch's advantages are normalised once more, as Stable-Baselines3 does."""
    entropy_coefficient: float = 0.0
    """Weight of the entropy bonus; 0 leaves Fig. 6(b) to the reward alone."""


def linear_advantages(inmf: InmfSpec, rollout: Rollout) -> Array:
    """Normalised advantages over the linear baseline, (..., episodes, slots) float32.

    Each twin's are normalised apart, so an outer step weighs all twins alike.
    """
    return gae.normalised(raw_advantages(inmf, rollout)).astype(np.float32)


def mixed_advantages(inmf: InmfSpec, rollout: Rollout) -> Array:
    """As `linear_advantages`, normalised over all twins: what counts is the mean reward."""
    raw = raw_advantages(inmf, rollout)
    flat: Array = gae.normalised(raw.reshape(1, -1)).astype(np.float32)
    return flat.reshape(raw.shape)


def raw_advantages(inmf: InmfSpec, rollout: Rollout) -> Values:
    """Advantages over a linear baseline of each twin, (..., episodes, slots) float64."""
    target = gae.returns(rollout.rewards, gamma=inmf.gamma)
    value = baseline.predict(rollout.observations, target)
    return gae.advantages(rollout.rewards, value, gamma=inmf.gamma, gae_lambda=inmf.gae_lambda)


@dataclass(frozen=True, slots=True)
class Experience:
    """Rows to learn from: one slot each, of whatever episodes they come."""

    observations: Array
    """(rows, observation_dim) float32."""
    samples: Array
    """(rows, A) float32, what actions were made of."""
    advantage: Array
    """(rows,) float32; a weight of the row's source may be multiplied in."""
    log_prob: Array | None = None
    """(rows,) of the samples when they were drawn; None: by the policy that is updated."""

    @classmethod
    def of(cls, rollout: Rollout, advantage: Array, log_prob: Array | None = None) -> "Experience":
        """All slots of a rollout, in order."""
        rows = rollout.rewards.size
        return cls(
            rollout.observations.reshape(rows, -1),
            rollout.samples.reshape(rows, -1),
            advantage.reshape(rows),
            None if log_prob is None else log_prob.reshape(rows),
        )

    def rows(self, chosen: Order | slice) -> "Experience":
        """The chosen rows, in their order."""
        return Experience(self.observations[chosen], self.samples[chosen], self.advantage[chosen])


def update(
    policy: Policy,
    parameters: Vector,
    experience: Experience,
    adam: Adam,
    *,
    settings: PpoSettings,
    rng: np.random.Generator,
) -> Vector:
    """New parameters after the passes of one update; the arguments' arrays stay as they are.

    Args:
        policy: network and head.
        parameters: (n,) float32, the policy that acted.
        experience: what it saw and did.
        adam: the optimiser; its memory moves on.
        settings: hyper-parameters.
        rng: source of the minibatches' order.

    Returns:
        (n,) float32.

    Raises:
        NumericsError: if the new parameters are not finite.
    """
    rows = experience.advantage.size
    before = experience.log_prob
    if before is None:
        likelihood = Likelihood(policy, parameters, experience.observations, experience.samples)
        before = likelihood.log_prob
    workspace = _Workspace(policy, parameters)
    for _ in range(settings.passes):
        order = rng.permutation(rows)
        shuffled, before_shuffled = experience.rows(order), before[order]
        for start in range(0, rows, settings.minibatch_slots):
            part = slice(start, start + settings.minibatch_slots)
            workspace.differentiate(shuffled.rows(part), before_shuffled[part], settings)
            adam.step_in_place(workspace.parameters, workspace.gradient)
    if not np.isfinite(workspace.parameters).all():
        raise NumericsError(
            "PPO parameters are not finite; lower the learning rate or check the rewards"
        )
    return workspace.parameters


def clipped_gradient(
    policy: Policy,
    parameters: Array,
    experience: Experience,
    log_prob_before: Array,
    settings: PpoSettings,
) -> Array:
    """Gradient of the clipped loss (Schulman et al., arXiv 1707.06347, eq. 7), (n,)."""
    workspace = _Workspace(policy, parameters)
    workspace.differentiate(experience, log_prob_before, settings)
    return workspace.gradient


class _Workspace:
    """Parameters under change and their gradient, two vectors that stay the same arrays."""

    def __init__(self, policy: Policy, parameters: Array) -> None:
        self._policy = policy
        self.parameters = parameters.copy()
        self.gradient = np.empty_like(parameters)

    def differentiate(
        self, experience: Experience, log_prob_before: Array, settings: PpoSettings
    ) -> None:
        """Put the gradient at the present parameters into `gradient`.

        Where the clipped term is the smaller one it is constant, so that row has no gradient.
        """
        likelihood = Likelihood(
            self._policy, self.parameters, experience.observations, experience.samples
        )
        ratio = np.exp(likelihood.log_prob - log_prob_before)
        advantage = experience.advantage
        if settings.normalise_minibatches:
            advantage = gae.normalised(advantage[None])[0]
        clipped = np.where(advantage > 0, ratio > 1.0 + settings.clip, ratio < 1.0 - settings.clip)
        ratio *= advantage
        ratio *= -1.0 / advantage.size
        ratio[clipped] = 0.0
        likelihood.write_gradient(ratio, self.gradient, settings.entropy_coefficient)
