"""What one twin computes in an iteration of Fig. 5(a): the gradient of its adaptation loss.

The twin adapts the meta model by K gradient steps, each on episodes that the policy before the
step played, and differentiates the loss after the last step by the parameters before the first.
Many twins of one server are computed in one batch; each result is the same as if alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from twintier.inmf.episodes import EpisodeBatch
from twintier.inmf.spec import InmfSpec
from twintier.learning import surrogate
from twintier.learning.engines.port import Array
from twintier.learning.errors import NumericsError, SettingsError
from twintier.learning.likelihood import Likelihood
from twintier.learning.policy import Policy, Vector
from twintier.learning.ppo import linear_advantages, raw_advantages
from twintier.learning.rollout import Rollout, collect, twin_groups
from twintier.learning.surrogate import Surrogate

MakeBatch = Callable[[np.random.Generator], EpisodeBatch]
MakeBatches = Callable[[Sequence[np.random.Generator]], EpisodeBatch]

LOG_OF_NOTHING = -1000.0
"""Finite, so that it travels and is averaged as any number, and its exponential is 0."""


@dataclass(frozen=True, slots=True)
class MetaSettings:
    """How a twin evaluates the meta model."""

    algorithm: Literal["maml", "fomaml", "reptile"] = "maml"
    """Second order, first order, or Reptile, which omits the last emulation."""
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
        if self.algorithm == "reptile" and not self.inner_steps:
            raise SettingsError("reptile needs inner_steps of at least 1")
        if self.algorithm == "reptile" and self.adapted == "head":
            raise SettingsError("reptile leaves the body where it was if only the head adapts")

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
    """Emulated slots over all rounds."""


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


class InnerStep(Protocol):
    """What carrying a gradient back through an inner step needs; the loss may be of any kind."""

    @property
    def gradient(self) -> Array:
        """(twins, n) of the inner loss."""
        ...

    def hessian_vector(self, vector: Array, kind: Surrogate) -> Array:
        """(twins, n); `kind` matters only to losses that are surrogates of a return."""
        ...


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
    advantage = _advantage(batch.spec, rollout, normalise=normalise)
    return step_on(policy, parameters, rollout, advantage)


def _advantage(inmf: InmfSpec, rollout: Rollout, *, normalise: bool) -> Array:
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
    """
    step_sizes = np.exp(log_step_sizes)
    current: Array = np.repeat(parameters[None], len(rngs), axis=0)
    steps: list[Step] = []
    outer: dict[int, Array] = {}
    for taken in range(settings.inner_steps):
        batch = make_batches(rngs)
        rollout = collect(policy, current, batch, rngs)
        step = step_on(policy, current, rollout, _advantage(batch.spec, rollout, normalise=True))
        if settings.judged == "every" and taken:
            raw = _advantage(batch.spec, rollout, normalise=settings.normalise_outer)
            outer[taken] = step.gradient_with(raw)
        steps.append(step)
        current = current - step_sizes * step.gradient
    if settings.algorithm == "reptile":
        scale = np.exp(log_step_sizes.mean())
        gradient = (parameters - current) / scale
        return _results(steps, steps, gradient, np.zeros_like(gradient))
    last = policy_gradient(
        policy, current, make_batches(rngs), rngs, normalise=settings.normalise_outer
    )
    outer[len(steps)] = last.gradient
    gradient, by_step_size = backpropagate(steps, outer, step_sizes, settings)
    return _results([*steps, last], steps, gradient, by_step_size)


def backpropagate(
    steps: Sequence[InnerStep],
    outer: Mapping[int, Array],
    step_sizes: Array,
    settings: MetaSettings,
) -> tuple[Array, Array]:
    """Carry gradients after inner steps back to before the first, and take their mean.

    With theta' = theta - alpha g(theta), a gradient v by theta' is v - H (alpha v) by theta and
    -alpha g v by log alpha; H is the Hessian of the inner loss. First order leaves H out.

    Args:
        steps: the inner steps, first one first.
        outer: (twins, n) gradients at the adapted parameters, by how many steps led there; the
            last step's is there.
        step_sizes: (n,) alpha.
        settings: algorithm, surrogate and whether step sizes are learned.

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
        if settings.algorithm == "maml":
            vector = vector - step.hessian_vector(scaled, settings.surrogate)
        if taken in outer:
            vector = vector + share * outer[taken]
    return vector, by_step_size


def _results(
    rounds: Sequence[Step], steps: Sequence[Step], gradient: Array, by_step_size: Array
) -> list[MetaGradient]:
    rewards = np.stack([step.reward for step in rounds])
    finite = np.isfinite(gradient).all(axis=-1) & np.isfinite(by_step_size).all(axis=-1)
    finite &= np.isfinite(rewards).all(axis=0)
    if not finite.all():
        twin = int(np.argmin(finite))
        raise NumericsError(
            f"the adaptation gradient of twin {twin} of the batch is not finite after "
            f"{len(steps)} inner steps; lower the step sizes or check its emulator"
        )
    slots = sum(step.weight[0].size for step in rounds)
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
