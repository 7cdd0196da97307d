"""What one twin computes in an iteration of Fig. 5(a): the gradient of its adaptation loss.

Rounds of data are emulated episodes, each played by the policy before its step. Many twins of one
server are computed in one batch; each result is the same as if alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from twintier.inmf.episodes import EpisodeBatch
from twintier.inmf.spec import InmfSpec
from twintier.learning.engines.port import Array
from twintier.learning.learners.registry import learner_of
from twintier.learning.meta import InnerStep, MetaGradient, MetaSettings
from twintier.learning.policy import Policy, Vector
from twintier.learning.policy_step import Step, advantage_of, policy_gradient, step_on
from twintier.learning.rollout import Rollout, collect
from twintier.learning.teacher import teacher_gradient

MakeBatch = Callable[[np.random.Generator], EpisodeBatch]
MakeBatches = Callable[[Sequence[np.random.Generator]], EpisodeBatch]


@dataclass(slots=True)
class EmulatedRounds:
    """Rounds of new episodes of some twins; see `meta.Rounds`."""

    policy: Policy
    make_batches: MakeBatches
    settings: MetaSettings
    rngs: Sequence[np.random.Generator]
    """One for each twin."""
    _played: tuple[InmfSpec, Rollout, Step] | None = field(default=None, init=False)

    @property
    def twins(self) -> int:
        """How many twins are computed together."""
        return len(self.rngs)

    def inner(self, parameters: Array) -> Step:
        """Play a round and step with normalised advantages, so that alpha means the same to all."""
        batch = self.make_batches(self.rngs)
        rollout = collect(self.policy, parameters, batch, self.rngs)
        advantage = advantage_of(batch.spec, rollout, normalise=True)
        step = step_on(self.policy, parameters, rollout, advantage)
        self._played = (batch.spec, rollout, step)
        return step

    def judged(self, step: InnerStep, parameters: Array) -> Array:
        """The gradient on the round that was played last, with the outer step's advantages."""
        del parameters
        assert self._played is not None
        inmf, rollout, last = self._played
        assert step is last
        normalise = self.settings.normalise_outer
        return last.gradient_with(advantage_of(inmf, rollout, normalise=normalise))

    def outer(self, parameters: Array) -> Step:
        """Play the last round."""
        batch, normalise = self.make_batches(self.rngs), self.settings.normalise_outer
        return policy_gradient(self.policy, parameters, batch, self.rngs, normalise=normalise)

    def taught(self, parameters: Vector) -> list[MetaGradient]:
        """The teacher's gradients, each twin's on episodes of its own generator."""
        return [
            teacher_gradient(self.policy, parameters, self.make_batches([rng]), rng)
            for rng in self.rngs
        ]


def adaptation_gradient(
    policy: Policy,
    parameters: Vector,
    log_step_sizes: Vector,
    make_batch: MakeBatch,
    *,
    settings: MetaSettings,
    rng: np.random.Generator,
) -> MetaGradient:
    """The gradient of one twin's adaptation loss by the meta model.

    Args:
        policy: network and head.
        parameters: (n,) float32 meta parameters.
        log_step_sizes: (n,) float32 logarithms of the inner step sizes (alpha).
        make_batch: draws `settings.episodes` new emulated episodes from the generator.
        settings: algorithm and rounds.
        rng: the twin's own generator; the result depends on nothing else.

    Raises:
        NumericsError: if a reward or gradient is not finite; nothing is returned then.
        SettingsError: if the algorithm is not installed, or the settings do not fit it.
    """
    return adaptation_gradients(
        policy,
        parameters,
        log_step_sizes,
        lambda rngs: make_batch(rngs[0]),
        settings=settings,
        rngs=[rng],
    )[0]


def adaptation_gradients(
    policy: Policy,
    parameters: Vector,
    log_step_sizes: Vector,
    make_batches: MakeBatches,
    *,
    settings: MetaSettings,
    rngs: Sequence[np.random.Generator],
) -> list[MetaGradient]:
    """As `adaptation_gradient`, for several twins at once.

    Args:
        policy: network and head.
        parameters: (n,) float32 meta parameters.
        log_step_sizes: (n,) float32 logarithms of the inner step sizes.
        make_batches: draws `settings.episodes` episodes of each twin, twin by twin, each twin's
            from its own generator.
        settings: algorithm and rounds.
        rngs: one generator for each twin.

    Returns:
        One result for each twin, in order.

    Raises:
        NumericsError: if a reward or gradient of any twin is not finite.
        SettingsError: if the algorithm is not installed, or the settings do not fit it.
    """
    learner = learner_of(settings.algorithm)
    learner.check(settings)
    rounds = EmulatedRounds(policy, make_batches, settings, rngs)
    return learner.gradients(rounds, parameters, log_step_sizes, settings)
