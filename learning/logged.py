"""The paper's loop without an emulator: learning from sampled slots that really happened.

A PLVN explores under its guard and uploads samples with their log-probabilities. The policy that
is learned is not the one that sampled, so every slot weighs by the ratio of both probabilities,
clipped so that no slot decides alone. A stream has no ends: episodes are cut by length.
"""

from dataclasses import dataclass
from math import log

import numpy as np

from twintier.inmf.spec import Array as Rewards
from twintier.inmf.spec import InmfSpec, Mask, Observation
from twintier.learning import surrogate
from twintier.learning.aggregate import Adam
from twintier.learning.engines.port import Array
from twintier.learning.errors import SettingsError
from twintier.learning.learners.registry import learner_of
from twintier.learning.likelihood import Likelihood
from twintier.learning.meta import InnerStep, MetaGradient, MetaSettings
from twintier.learning.policy import Policy, Vector
from twintier.learning.policy_step import advantage_of
from twintier.learning.ppo import Experience, PpoSettings, linear_advantages, update
from twintier.learning.rollout import Rollout
from twintier.learning.surrogate import Surrogate

LARGEST_RATIO = 2.0
"""Ratio of probabilities beyond which a slot weighs no more (assumed; clipped weights are biased
towards the policy that sampled, and their variance is bounded)."""


@dataclass(frozen=True, slots=True)
class Logged:
    """True sampled slots of one PLVN in whole episodes, oldest first."""

    inmf: InmfSpec
    rollout: Rollout
    """(episodes, slots, ...), as measured."""
    log_prob: Array
    """(episodes, slots) of the samples when they were drawn."""

    @classmethod
    def of(
        cls,
        inmf: InmfSpec,
        observations: Observation,
        samples: Array,
        log_prob: Array,
        rewards: Rewards,
    ) -> "Logged":
        """The newest slots in episodes of the INMF's length; what does not fill one is left out.

        Args:
            inmf: slots of an episode and discounting.
            observations: (n, observation_dim) float32, one row a slot, in order of time.
            samples: (n, A) what the actions were made of.
            log_prob: (n,) of the samples when they were drawn.
            rewards: (n,) measured.
        """
        episodes = len(rewards) // inmf.slots
        first, shape = len(rewards) - episodes * inmf.slots, (episodes, inmf.slots, -1)
        cut = samples[first:].reshape(shape).astype(np.float32)
        rollout = Rollout(
            observations[first:].reshape(shape),
            cut,
            cut,
            rewards[first:].reshape(shape[:2]).astype(np.float64),
        )
        return cls(inmf, rollout, log_prob[first:].reshape(shape[:2]))

    @property
    def episodes(self) -> int:
        """Whole episodes."""
        return len(self.log_prob)

    def part(self, chosen: slice) -> "Logged":
        """Some of the episodes."""
        whole = self.rollout
        rollout = Rollout(
            whole.observations[chosen],
            whole.samples[chosen],
            whole.actions[chosen],
            whole.rewards[chosen],
        )
        return Logged(self.inmf, rollout, self.log_prob[chosen])

    def halves(self) -> tuple["Logged", "Logged"]:
        """The older episodes, to adapt to, and the newer ones, which are held out.

        Raises:
            SettingsError: if there are fewer than two episodes.
        """
        if self.episodes < 2:
            raise SettingsError(
                f"{self.episodes} logged episodes of {self.inmf.slots} slots; a meta gradient "
                "needs two: one to adapt to and one that is held out"
            )
        middle = self.episodes // 2
        return self.part(slice(middle)), self.part(slice(middle, None))


def clipped_ratio(log_prob: Array, at_sampling: Array) -> tuple[Array, Mask]:
    """Ratios of probabilities, at most `LARGEST_RATIO`, and which of them were not clipped."""
    moved, limit = log_prob - at_sampling, log(LARGEST_RATIO)
    return np.exp(np.minimum(moved, limit)), np.asarray(moved <= limit)


@dataclass(frozen=True, slots=True)
class LoggedStep:
    """The clipped importance-weighted loss of one twin, ready to be differentiated."""

    likelihood: Likelihood
    weight: Array
    """(1, rows) derivative of the loss by each log-probability."""
    free: Mask
    """(1, rows) whether the ratio was not clipped: a clipped weight is constant."""
    gradient: Array
    """(1, n)."""
    reward: Array
    """(1,) mean of a slot that the parameters would have earned, by their ratios."""

    @property
    def slots(self) -> int:
        """Slots of the data."""
        return int(self.weight.size)

    def hessian_vector(self, vector: Array, kind: Surrogate) -> Array:
        """Product of the loss's Hessian by `vector`, (1, n).

        Raises:
            SettingsError: if the surrogate is not the ratio, which importance weights are.
        """
        if kind != "ratio":
            raise SettingsError(f"logged slots weigh by ratios; surrogate {kind!r} does not fit")
        bend = self.weight * self.free
        return self.likelihood.hessian_vector(self.weight, vector, lambda moved: bend * moved)


def logged_step(
    policy: Policy, parameters: Array, logged: Logged, *, normalise: bool = True
) -> LoggedStep:
    """Differentiate -mean(clipped ratio * advantage) at (1, n) parameters."""
    rollout = logged.rollout
    observations = rollout.observations.reshape(1, -1, rollout.observations.shape[-1])
    samples = rollout.samples.reshape(1, -1, rollout.samples.shape[-1])
    likelihood = Likelihood(policy, parameters, observations, samples)
    at_sampling = logged.log_prob.reshape(1, -1).astype(likelihood.log_prob.dtype)
    ratio, free = clipped_ratio(likelihood.log_prob, at_sampling)
    advantage = advantage_of(logged.inmf, rollout, normalise=normalise)
    weight = ratio * surrogate.coefficient(advantage).reshape(1, -1)
    earned = (ratio * rollout.rewards.reshape(1, -1)).sum(axis=-1) / ratio.sum(axis=-1)
    return LoggedStep(likelihood, weight, free, likelihood.gradient(weight), earned)


@dataclass(frozen=True, slots=True)
class LoggedRounds:
    """Adapts to older episodes of one twin and is judged by newer ones; see `meta.Rounds`."""

    policy: Policy
    shown: Logged
    held_out: Logged
    normalise_outer: bool

    @property
    def twins(self) -> int:
        """One."""
        return 1

    def inner(self, parameters: Array) -> LoggedStep:
        """A step on the older episodes."""
        return logged_step(self.policy, parameters, self.shown)

    def judged(self, step: InnerStep, parameters: Array) -> Array:
        """The gradient on the newer episodes."""
        del step
        return self.outer(parameters).gradient

    def outer(self, parameters: Array) -> LoggedStep:
        """The loss on the newer episodes."""
        normalise = self.normalise_outer
        return logged_step(self.policy, parameters, self.held_out, normalise=normalise)

    def taught(self, parameters: Vector) -> list[MetaGradient]:
        """Nothing.

        Raises:
            SettingsError: always.
        """
        raise SettingsError("logged slots have no teacher; choose another learner")


def logged_gradient(
    policy: Policy,
    parameters: Vector,
    log_step_sizes: Vector,
    logged: Logged,
    *,
    settings: MetaSettings,
) -> MetaGradient:
    """The gradient of one twin's adaptation loss by the meta model, from true sampled slots.

    Args:
        policy: network and head.
        parameters: (n,) float32 meta parameters.
        log_step_sizes: (n,) float32 logarithms of the inner step sizes (alpha).
        logged: the twin's slots; the newer half of the episodes is held out.
        settings: algorithm and inner steps; there are no episodes to draw.

    Raises:
        NumericsError: if a reward or gradient is not finite.
        SettingsError: if there are fewer than two episodes, or the settings do not fit.
    """
    learner = learner_of(settings.algorithm)
    learner.check(settings)
    shown, held_out = logged.halves()
    rounds = LoggedRounds(policy, shown, held_out, settings.normalise_outer)
    return learner.gradients(rounds, parameters, log_step_sizes, settings)[0]


@dataclass(frozen=True, slots=True)
class LoggedAdaptation:
    """A candidate from true sampled slots, and how far it is from what sampled them."""

    parameters: Vector
    """(n,) float32."""
    true_slots: int
    """Slots that were learned from."""
    effective_share: float
    """Effective sample size over the slots, (sum r)^2 / (n sum r^2) of unclipped ratios r: 1 where
    the candidate is what sampled, near 0 where the slots say little of it."""
    largest_ratio: float
    """Of the candidate's probabilities over those at sampling, unclipped."""


def adapt_logged(
    policy: Policy,
    start: Vector,
    logged: Logged,
    *,
    settings: PpoSettings,
    rng: np.random.Generator,
    adam: Adam | None = None,
) -> LoggedAdaptation:
    """One PPO update from true sampled slots, clipped around what sampled them.

    Args:
        policy: network and head.
        start: (n,) float32, the policy in force or a meta model.
        logged: at least one episode.
        settings: hyper-parameters of the update.
        rng: source of the minibatches' order.
        adam: the optimiser, if its memory goes on from update to update.

    Raises:
        NumericsError: if the new parameters are not finite.
        SettingsError: if there is no whole episode.
    """
    if not logged.episodes:
        raise SettingsError(f"no whole episode of {logged.inmf.slots} slots; wait for more")
    advantage = linear_advantages(logged.inmf, logged.rollout)
    experience = Experience.of(logged.rollout, advantage, logged.log_prob)
    stepped = update(
        policy, start, experience, adam or Adam(settings.learning_rate), settings=settings, rng=rng
    )
    now = Likelihood(policy, stepped, experience.observations, experience.samples).log_prob
    with np.errstate(over="ignore"):
        ratio = np.exp((now - logged.log_prob.reshape(-1)).astype(np.float64))
    share = float(ratio.sum() ** 2 / (ratio.size * (ratio**2).sum()))
    return LoggedAdaptation(stepped, ratio.size, share, float(ratio.max()))
