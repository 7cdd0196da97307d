"""An individual model from a meta model: the gradient steps of Fig. 5(b) on hybrid data.

Exploration happens in the emulator. A vehicle acts greedily, so its trajectories hold no sampled
actions to learn from directly; they count in two ways. The policy explores on the true slots (what
was measured before acting does not depend on its actions) through the calibrated emulator, and
wherever it happens to do what the vehicle did, in the same state, the measured reward takes the
place of the emulated one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from twintier.inmf.episodes import EpisodeBatch, Replayed
from twintier.learning.aggregate import Adam
from twintier.learning.errors import NumericsError
from twintier.learning.policy import Policy, Vector, reheated
from twintier.learning.policy_step import policy_gradient
from twintier.learning.ppo import Experience, PpoSettings, linear_advantages, update
from twintier.learning.rollout import Rollout, collect, mean_reward
from twintier.learning.teacher import teacher_gradient

Emulated = Callable[[int, np.random.Generator], EpisodeBatch]
"""Draws so many emulated episodes of the calibrated condition."""


CONSIDERED_EACH = 10
"""Teacher steps between two looks at the greedy reward."""


@dataclass(frozen=True, slots=True)
class AdaptationSettings:
    """How an individual model is made."""

    meta_steps: int = 3
    """Plain gradient steps with the meta model's own step sizes, before PPO (K)."""
    meta_episodes: int = 10
    """Emulated episodes of each of them, as in meta training."""
    teacher_steps: int = 0
    """Steps of learning from the emulator's answers (`learning.teacher`), before PPO."""
    teacher_learning_rate: float = 1e-2
    """Their Adam's; it falls linearly to a fifth."""
    updates: int = 12
    """PPO updates after reheating."""
    episodes: int = 40
    """Emulated episodes of each update."""
    evaluation_episodes: int = 40
    """Common traces on which the candidates are compared, greedily."""
    true_weight: float = 1.0
    """Factor on each true slot; 1 weighs true and emulated slots by their number."""
    ppo: PpoSettings = field(
        default_factory=lambda: PpoSettings(learning_rate=4e-3, passes=5, minibatch_slots=500)
    )
    """The updates themselves; the rate falls linearly to a fifth."""


@dataclass(frozen=True, slots=True)
class Adaptation:
    """The best policy found and how it was found."""

    parameters: Vector
    """(n,) float32."""
    updates: int
    """Gradient steps and PPO updates that were tried."""
    synthetic_slots: int
    """Emulated slots that were learned from."""
    true_slots: int
    """Slots whose measured reward was learned from."""
    reward_curve: tuple[float, ...]
    """Greedy mean reward of a slot on the common traces: the start, then after each step."""
    halted: str
    """Why the plain steps ended early, and from where it went on; empty if they did not."""


@dataclass(slots=True)
class _Search:
    """The best candidate so far, on traces that all candidates share."""

    policy: Policy
    batch: EpisodeBatch
    best: Vector
    curve: list[float] = field(default_factory=list)

    def consider(self, candidate: Vector) -> Rollout:
        """Play the candidate greedily and keep it if it is better than all before."""
        rollout = collect(self.policy, candidate, self.batch, None)
        reward = mean_reward(rollout)
        if not self.curve or reward > max(self.curve):
            self.best = candidate
        self.curve.append(reward)
        return rollout


def adapt(
    policy: Policy,
    start: Vector,
    emulated: Emulated,
    *,
    settings: AdaptationSettings,
    rng: np.random.Generator,
    log_step_sizes: Vector | None = None,
    true: Replayed | None = None,
) -> Adaptation:
    """Make an individual model for the condition that `emulated` emulates.

    Args:
        policy: network and head.
        start: (n,) float32, usually a meta model.
        emulated: draws emulated episodes of the calibrated condition.
        settings: steps and episodes.
        rng: the only source of randomness.
        log_step_sizes: (n,) float32 of the meta model; None leaves its plain steps out.
        true: true slots of the vehicle since its condition began, or None.

    Returns:
        A policy that is no worse than `start` on the common traces.

    Raises:
        NumericsError: if rewards are not finite.
    """
    search = _Search(policy, emulated(settings.evaluation_episodes, rng), start)
    seen = search.consider(start)
    if not np.isfinite(seen.rewards).all():
        raise NumericsError("emulated rewards are not finite; check the calibrated condition")
    slots, halted = 0, ""
    if log_step_sizes is not None:
        slots, halted = _meta_steps(search, emulated, np.exp(log_step_sizes), settings, rng)
    slots += _teacher_steps(search, emulated, settings, rng)
    true_slots = 0
    current = reheated(
        policy, search.best, seen.observations.reshape(-1, seen.observations.shape[-1])
    )
    adam = Adam(settings.ppo.learning_rate)
    for number in range(settings.updates):
        adam.learning_rate = settings.ppo.learning_rate * (1.0 - 0.8 * number / settings.updates)
        experience, measured = _hybrid(policy, current, emulated, true, settings=settings, rng=rng)
        current = update(policy, current, experience, adam, settings=settings.ppo, rng=rng)
        search.consider(current)
        slots += experience.advantage.size - measured
        true_slots += measured
    tried, curve = len(search.curve) - 1, tuple(search.curve)
    return Adaptation(search.best, tried, slots, true_slots, curve, halted)


def _meta_steps(
    search: _Search,
    emulated: Emulated,
    step_sizes: Vector,
    settings: AdaptationSettings,
    rng: np.random.Generator,
) -> tuple[int, str]:
    """Slots that were learned from, and why it ended early, if it did."""
    current, slots = search.best, 0
    for number in range(settings.meta_steps):
        batch = emulated(settings.meta_episodes, rng)
        with np.errstate(all="ignore"):  # what is not finite is found below
            step = policy_gradient(search.policy, current[None], batch, [rng])
            current = current - step_sizes * step.gradient[0]
        slots += step.weight.size
        if not np.isfinite(current).all():
            return slots, f"step {number + 1} leaves the finite numbers; the best before it stays"
        search.consider(current)
    return slots, ""


def _teacher_steps(
    search: _Search,
    emulated: Emulated,
    settings: AdaptationSettings,
    rng: np.random.Generator,
) -> int:
    current, slots = search.best, 0
    adam = Adam(settings.teacher_learning_rate)
    for number in range(settings.teacher_steps):
        falling = 1.0 - 0.8 * number / settings.teacher_steps
        adam.learning_rate = settings.teacher_learning_rate * falling
        step = teacher_gradient(search.policy, current, emulated(settings.meta_episodes, rng), rng)
        current = adam.step(current, step.gradient)
        slots += step.slots
        if number % CONSIDERED_EACH == CONSIDERED_EACH - 1:
            search.consider(current)
    return slots


def _hybrid(
    policy: Policy,
    parameters: Vector,
    emulated: Emulated,
    true: Replayed | None,
    *,
    settings: AdaptationSettings,
    rng: np.random.Generator,
) -> tuple[Experience, int]:
    """Rows of both sources, each source's advantages normalised apart, and measured slots."""
    batch = emulated(settings.episodes, rng)
    rollout = collect(policy, parameters, batch, [rng])
    synthetic = Experience.of(rollout, linear_advantages(batch.spec, rollout))
    if true is None:
        return synthetic, 0
    replayed, measured = replay(policy, parameters, true, rng)
    advantage = linear_advantages(batch.spec, replayed) * np.float32(settings.true_weight)
    real = Experience.of(replayed, advantage)
    both = Experience(
        np.concatenate([synthetic.observations, real.observations]),
        np.concatenate([synthetic.samples, real.samples]),
        np.concatenate([synthetic.advantage, real.advantage]),
    )
    return both, measured


def replay(
    policy: Policy, parameters: Vector, true: Replayed, rng: np.random.Generator
) -> tuple[Rollout, int]:
    """Explore on true slots; measured rewards stand where the vehicle did the same.

    Returns:
        The rollout, and how many of its rewards were measured.
    """
    rollout = collect(policy, parameters, true, [rng])
    rewards, measured = true.measured(rollout.actions)
    return replace(rollout, rewards=rewards), int(measured.sum())
