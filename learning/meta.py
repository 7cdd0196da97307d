"""Learning to adapt: what a twin contributes to an outer step, and how it is carried back.

A twin adapts the meta model by K gradient steps, each on a round of data, and the loss after the
last step is differentiated by the parameters before the first. Where the rounds come from does not
matter here: emulated episodes (`learning.emulated`), logged ones (`learning.logged`) or labelled
data (`learning.supervised`). How a gradient is made of them is a learner (`learning.learners`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from twintier.learning.engines.port import Array
from twintier.learning.errors import NumericsError, SettingsError
from twintier.learning.policy import Policy, Vector
from twintier.learning.surrogate import Surrogate

LOG_OF_NOTHING = -1000.0
"""Finite, so that it travels and is averaged as any number, and its exponential is 0."""


@dataclass(frozen=True, slots=True)
class MetaSettings:
    """How a twin evaluates the meta model."""

    algorithm: str = "maml"
    """Name of the learner (`learning.learners`): maml, fomaml, reptile, or another package's."""
    inner_steps: int = 3
    """Adaptation steps (K); 0 is the plain policy gradient on the mixture of tasks."""
    episodes: int = 10
    """Emulated episodes of each round of data (the paper's 10)."""
    learn_step_sizes: bool = True
    """Whether the step sizes (alpha) have a gradient of their own."""
    initial_step_size: float = 0.3
    """Start of every step size (alpha); measured best with learned step sizes."""
    surrogate: Surrogate = "ratio"
    """Loss of the inner steps; `dice` where states are not exogenous and the Hessian matters."""

    adapted: Literal["all", "head"] = "all"
    """What the inner steps move: all, or the last layer and log_std only (ANIL, arXiv 1909.09157),
    whose step sizes alone are then above 0."""

    judged: Literal["last", "every"] = "last"
    """Which adapted parameters the adaptation loss is of: those after the last inner step, or the
    mean over those after every one (multi-step loss, arXiv 1810.09502)."""

    normalise_outer: bool = False
    """Whether the outer step weighs all twins alike. Without it the outer step maximises the mean
    reward over twins, so that conditions in which boldness is dear count for what they cost
    (multi-task PPO: .88 of the experts, and .72 when normalised by task; one seed)."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.inner_steps < 0 or self.episodes < 1 or self.initial_step_size <= 0:
            raise SettingsError(
                f"inner_steps {self.inner_steps} must be at least 0, episodes {self.episodes} "
                f"at least 1 and initial_step_size {self.initial_step_size} above 0"
            )

    def initial_log_step_sizes(self, policy: Policy) -> Vector:
        """Logarithm of the initial step size of every parameter, (n,) float32.

        A parameter that does not adapt has one so low that the step size is exactly 0; as its
        gradient is then 0 too, it stays there.
        """
        logarithms = np.full(policy.parameters, np.log(self.initial_step_size), np.float32)
        if self.adapted == "head":
            logarithms[~policy.adapts] = LOG_OF_NOTHING
        return logarithms


@dataclass(frozen=True, slots=True)
class MetaGradient:
    """What a twin contributes to the outer step."""

    gradient: Vector
    """(n,) float32, of the adaptation loss by the meta parameters."""
    step_size_gradient: Vector
    """(n,) float32, by the logarithms of the step sizes; zeros where they are not learned."""
    reward_before: float
    """Mean of a slot in the first round, in the reward's unit."""
    reward_after: float
    """Mean of a slot in the last round that was emulated."""
    adaptation_loss: float
    """Minus reward_after: the surrogate itself is 0 where it is evaluated, by construction."""
    slots: int
    """Slots over all rounds."""
    prior_gradient: Vector | None = None
    """(n,) float32, of the loss of the prior by itself (`learning.prior`); None where prior and
    meta parameters are one."""


class InnerStep(Protocol):
    """A step on one round of data; the loss may be of any kind."""

    @property
    def gradient(self) -> Array:
        """(twins, n) of the loss."""
        ...

    @property
    def reward(self) -> Array:
        """(twins,) mean of a slot; minus the loss where there is no reward."""
        ...

    @property
    def slots(self) -> int:
        """Slots of the round, of each twin."""
        ...

    def hessian_vector(self, vector: Array, kind: Surrogate) -> Array:
        """(twins, n); `kind` matters only to losses that are surrogates of a return."""
        ...


class Rounds(Protocol):
    """Rounds of data of some twins, in order; each is drawn when it is asked for."""

    @property
    def twins(self) -> int:
        """How many twins are computed together."""
        ...

    def inner(self, parameters: Array) -> InnerStep:
        """A step of adaptation at (twins, n) parameters."""
        ...

    def judged(self, step: InnerStep, parameters: Array) -> Array:
        """(twins, n) gradient of the adaptation loss where `step` was taken."""
        ...

    def outer(self, parameters: Array) -> InnerStep:
        """The adaptation loss at adapted parameters, its gradient unnormalised."""
        ...

    def taught(self, parameters: Vector) -> list[MetaGradient]:
        """Gradients of the teacher's loss at (n,) parameters, twin by twin.

        Raises:
            SettingsError: if nothing scores choices here.
        """
        ...


@runtime_checkable
class Learner(Protocol):
    """A way to make an outer gradient of rounds of data."""

    @property
    def name(self) -> str:
        """As in `MetaSettings.algorithm` and on the wire."""
        ...

    def check(self, settings: MetaSettings) -> None:
        """Refuse settings that do not fit.

        Raises:
            SettingsError: with what to change.
        """
        ...

    def gradients(
        self, rounds: Rounds, parameters: Vector, log_step_sizes: Vector, settings: MetaSettings
    ) -> list[MetaGradient]:
        """What each twin contributes, in order.

        Args:
            rounds: data of the twins.
            parameters: (n,) float32 meta parameters.
            log_step_sizes: (n,) float32 logarithms of the inner step sizes (alpha).
            settings: steps and surrogate.

        Raises:
            NumericsError: if a reward or gradient of any twin is not finite.
        """
        ...


@dataclass(frozen=True, slots=True)
class Walk:
    """The inner steps of some twins from one start."""

    steps: list[InnerStep]
    end: Array
    """(twins, n) adapted parameters."""
    judged: dict[int, Array]
    """(twins, n) gradients of the adaptation loss on the way, by how many steps led there."""


def walk(rounds: Rounds, parameters: Array, step_sizes: Array, settings: MetaSettings) -> Walk:
    """Take the inner steps from (n,) parameters with (n,) step sizes (alpha)."""
    current: Array = np.repeat(parameters[None], rounds.twins, axis=0)
    way = Walk([], current, {})
    for taken in range(settings.inner_steps):
        step = rounds.inner(current)
        if settings.judged == "every" and taken:
            way.judged[taken] = rounds.judged(step, current)
        way.steps.append(step)
        current = current - step_sizes * step.gradient
    return Walk(way.steps, current, way.judged)


def backpropagate(
    steps: Sequence[InnerStep],
    outer: Mapping[int, Array],
    step_sizes: Array,
    settings: MetaSettings,
    *,
    second_order: bool,
) -> tuple[Array, Array]:
    """Carry gradients after inner steps back to before the first, and take their mean.

    With theta' = theta - alpha g(theta), a gradient v by theta' is v - H (alpha v) by theta and
    -alpha g v by log alpha; H is the Hessian of the inner loss. First order leaves H out.

    Args:
        steps: the inner steps, first one first.
        outer: (twins, n) gradients at the adapted parameters, by how many steps led there; the
            last step's is there.
        step_sizes: (n,) alpha.
        settings: surrogate, and whether step sizes are learned.
        second_order: whether H counts.

    Returns:
        (twins, n) gradients by the parameters and by the logarithms of the step sizes.
    """
    share = 1.0 / len(outer)
    vector = share * outer[len(steps)]
    by_step_size = np.zeros_like(vector)
    for taken, step in reversed(list(enumerate(steps))):
        scaled = step_sizes * vector
        if settings.learn_step_sizes:
            by_step_size -= scaled * step.gradient
        if second_order:
            vector = vector - step.hessian_vector(scaled, settings.surrogate)
        if taken in outer:
            vector = vector + share * outer[taken]
    return vector, by_step_size


def contributions(
    rounds: Sequence[InnerStep], gradient: Array, by_step_size: Array
) -> list[MetaGradient]:
    """Results of twins from (twins, n) gradients and all their rounds, first one first.

    Raises:
        NumericsError: if a reward or gradient of any twin is not finite.
    """
    rewards = np.stack([step.reward for step in rounds])
    finite = np.isfinite(gradient).all(axis=-1) & np.isfinite(by_step_size).all(axis=-1)
    finite &= np.isfinite(rewards).all(axis=0)
    if not finite.all():
        twin = int(np.argmin(finite))
        raise NumericsError(
            f"the adaptation gradient of twin {twin} of the batch is not finite after "
            f"{len(rounds)} rounds; lower the step sizes or check its data"
        )
    slots = sum(step.slots for step in rounds)
    return [
        MetaGradient(
            gradient[twin].astype(np.float32),
            by_step_size[twin].astype(np.float32),
            float(rewards[0, twin]),
            float(rewards[-1, twin]),
            -float(rewards[-1, twin]),
            slots,
        )
        for twin in range(gradient.shape[0])
    ]
