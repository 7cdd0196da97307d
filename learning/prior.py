"""The prior of a meta model: trained on the mixture of its category, acting until the first update.

A meta model has two vectors. Where adaptation starts (`init`) is made to be adapted and acts badly
before; the prior is the plain policy gradient on the same tasks and acts well at once.
"""

import numpy as np

from twintier.inmf.episodes import EpisodeBatch
from twintier.learning.errors import NumericsError
from twintier.learning.policy import Policy, Vector
from twintier.learning.policy_step import policy_gradient
from twintier.learning.teacher import teacher_gradient


def prior_gradient(
    policy: Policy,
    prior: Vector,
    batch: EpisodeBatch,
    rng: np.random.Generator,
    *,
    taught: bool = False,
) -> Vector:
    """A twin's part of the prior's gradient, (n,) float32.

    Advantages stay in the reward's unit, so that the mean over twins maximises the mean reward of
    the mixture and a task in which boldness is dear counts for what it costs.

    Args:
        policy: network and head.
        prior: (n,) float32.
        batch: emulated episodes of the twin's task.
        rng: the twin's own generator.
        taught: whether the emulator's answers to all choices take the place of returns.

    Raises:
        NumericsError: if a reward or the gradient is not finite.
        SettingsError: if `taught` and the emulator scores no choices.
    """
    if taught:
        return teacher_gradient(policy, prior, batch, rng).gradient
    gradient = policy_gradient(policy, prior[None], batch, [rng], normalise=False).gradient[0]
    if not np.isfinite(gradient).all():
        raise NumericsError("the prior's gradient is not finite; check the emulator's rewards")
    return np.asarray(gradient, np.float32)
