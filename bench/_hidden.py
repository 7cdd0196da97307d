"""`coop-perception-hidden` v1: conditions of the day, training on the distribution, evaluation.

A task is a hidden condition of the prior with a visible radio level of 5, 6 or 7 MHz. The seven
conditions are those of the synthetic day; shares are greedy returns over those of a condition's
expert on the same traces.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter

import numpy as np

from twintier.inmf.episodes import Memory
from twintier.inmf.perception.condition import Condition, draw_conditions
from twintier.inmf.perception.emulator import EmulatorParameters, draw_trace
from twintier.inmf.perception.live import COOP_PERCEPTION, MODES_BEFORE, PAIRS, LiveEpisodes
from twintier.inmf.spec import InmfSpec, Mask, Observation
from twintier.inmf.trajectory import Trace
from twintier.learning.aggregate import Adam, MetaOptimizer
from twintier.learning.engines.port import Array
from twintier.learning.meta import MetaSettings
from twintier.learning.meta_training import MetaTraining
from twintier.learning.policy import Policy, Vector, initial_parameters, reheated
from twintier.learning.policy_step import policy_gradient
from twintier.learning.ppo import (
    Experience,
    PpoSettings,
    linear_advantages,
    mixed_advantages,
    update,
)
from twintier.learning.rollout import collect, mean_reward

INMF = replace(COOP_PERCEPTION, observation_dim=1 + 3 * PAIRS)
POLICY = Policy.of(INMF)
LEVELS_HZ = (5e6, 6e6, 7e6)
TASKS, EPISODES = 20, 10
VALIDATED_EACH, VALIDATION_TASKS, VALIDATION_SEED = 15, 60, 777
META_TASKS = 40
"""Tasks of an iteration of meta training; with 20, trainings of one arm differed by 2 points."""
META_LEARNING_RATE = 4e-3
"""Outer step size of Adam (beta)."""


class HiddenEpisodes(LiveEpisodes):
    """Live episodes as v1 shows them: [B, W, d and mode before of each pair], ten numbers.

    All pairs are there, and the ranges are those of the case study, so the scaling is the case
    study's too; with the scaling of live traffic W and d hardly move, and policy gradients of
    every arm ended in the same modes in all slots.
    """

    spec: InmfSpec = INMF

    @cached_property
    def _still(self) -> Observation:
        parts = (
            (self.trace.bandwidth_hz[..., None] / 1e6 - 2.0) / 5.0,
            (self.trace.objects - 4.0) / 4.0,
            (self.trace.distance_m - 6.0) / 24.0,
        )
        return np.concatenate(parts, axis=-1, dtype=np.float32)

    def observe(self, slot: int, memory: Memory) -> Observation:
        """Observation of one slot, (episodes, 10)."""
        parts = (self._still[:, slot], memory[MODES_BEFORE].astype(np.float32))
        return np.concatenate(parts, axis=-1, dtype=np.float32)

    def observe_after(self, modes_before: Mask) -> Observation:
        """Observations (episodes, slots, 10) after any modes (episodes, slots, pairs)."""
        return np.concatenate([self._still, modes_before], axis=-1, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Task:
    """What a PLVN is: its visible radio level and its hidden condition."""

    mean_hz: float
    condition: Condition

    def trace(self, episodes: int, rng: np.random.Generator) -> Trace:
        """Episodes of the exogenous part."""
        return draw_trace(EmulatorParameters(self.mean_hz), episodes, INMF.slots, rng)

    def batch(self, episodes: int, rng: np.random.Generator) -> HiddenEpisodes:
        """Episodes under the condition."""
        return HiddenEpisodes(self.trace(episodes, rng), self.condition)


DAY = {
    "E": Task(7e6, Condition(early_exit_ratio=0.15)),
    "A": Task(6e6, Condition()),
    "F": Task(5e6, Condition(noise_db=9.0)),
    "M": Task(6e6, Condition(feature_factor=1.45)),
    "R": Task(6e6, Condition(early_exit_ratio=0.1, noise_db=4.0, delay_requirement_s=0.085)),
    "G": Task(
        6e6,
        Condition(
            feature_factor=0.72,
            delay_requirement_s=0.085,
            early_exit_ratio=0.45,
            noise_db=8.0,
            switching_cost_j=0.5,
        ),
    ),
    "H": Task(
        7e6,
        Condition(
            feature_factor=1.4,
            delay_requirement_s=0.115,
            early_exit_ratio=0.12,
            noise_db=2.0,
            switching_cost_j=0.0,
        ),
    ),
}
"""Five known conditions and two (G, H) that no library holds."""


def draw_tasks(count: int, rng: np.random.Generator) -> list[Task]:
    """Tasks of the distribution."""
    levels = rng.choice(LEVELS_HZ, size=count)
    return [
        Task(float(level), c) for level, c in zip(levels, draw_conditions(count, rng), strict=True)
    ]


def batches(
    tasks: Sequence[Task], episodes: int
) -> Callable[[Sequence[np.random.Generator]], HiddenEpisodes]:
    """Draws episodes of all tasks, task by task, from the first generator."""
    conditions = [task.condition for task in tasks for _ in range(episodes)]
    means_hz = np.repeat([task.mean_hz for task in tasks], episodes)

    def make(rngs: Sequence[np.random.Generator]) -> HiddenEpisodes:
        drawn = draw_trace(EmulatorParameters(0.0), len(means_hz), INMF.slots, rngs[0])
        noise = rngs[0].normal(0.0, EmulatorParameters().bandwidth_sd_hz, drawn.bandwidth_hz.shape)
        bandwidth = np.maximum(means_hz[:, None] + noise, 0.0)
        trace = Trace(bandwidth, drawn.objects, drawn.distance_m, drawn.present)
        return HiddenEpisodes(trace, conditions)

    return make


def train_mixture(iterations: int, rng: np.random.Generator) -> Vector:
    """Multi-task PPO over the distribution; the rate falls to a fifth."""
    flat = initial_parameters(POLICY, rng)
    ppo = PpoSettings(learning_rate=3e-3, minibatch_slots=2500)
    adam = Adam(ppo.learning_rate)
    for iteration in range(iterations):
        adam.learning_rate = ppo.learning_rate * (1.0 - 0.8 * iteration / iterations)
        batch = batches(draw_tasks(TASKS, rng), EPISODES)([rng])
        by_task = collect(POLICY, np.repeat(flat[None], TASKS, axis=0), batch, rng.spawn(TASKS))
        experience = Experience.of(by_task, mixed_advantages(INMF, by_task))
        flat = update(POLICY, flat, experience, adam, settings=ppo, rng=rng)
    return flat


def train_meta(
    start: Vector, settings: MetaSettings, iterations: int, rng: np.random.Generator
) -> tuple[Vector, Vector]:
    """Meta training from a start; parameters and logarithms of the step sizes.

    Iterates differ by several points a few iterations apart, so every so often one is adapted to
    tasks of the distribution that training does not see, and the best of them is the result.
    """
    optimizer = MetaOptimizer(META_LEARNING_RATE, decay_steps=iterations)
    training = MetaTraining.start(POLICY, start, settings, optimizer)
    best = (-np.inf, training.parameters, training.log_step_sizes)
    for iteration in range(1, iterations + 1):
        rngs = {f"{number:04}": one for number, one in enumerate(rng.spawn(META_TASKS))}
        training.iterate(batches(draw_tasks(META_TASKS, rng), settings.episodes), rngs)
        if iteration % VALIDATED_EACH == 0 or iteration == iterations:
            flat, logs = training.parameters, training.log_step_sizes
            reward_j = adapted_reward_j(flat, logs, settings.inner_steps)
            best = max(best, (reward_j, flat, logs), key=itemgetter(0))
    return best[1], best[2]


def adapted_reward_j(flat: Vector, log_step_sizes: Vector, steps: int) -> float:
    """Greedy J a slot after each inner step, mean over steps and tasks that are always the same.

    Without a step it is that of the start.
    """
    rng = np.random.default_rng(VALIDATION_SEED)
    tasks = draw_tasks(VALIDATION_TASKS, rng)
    shown, judged = batches(tasks, EPISODES), batches(tasks, EPISODES // 2)([rng])
    current: Array = np.repeat(flat[None], VALIDATION_TASKS, axis=0)
    rewards = [] if steps else [mean_reward(collect(POLICY, current, judged, None))]
    for _ in range(steps):
        step = policy_gradient(POLICY, current, shown([rng]), rng.spawn(VALIDATION_TASKS))
        current = current - np.exp(log_step_sizes) * step.gradient
        rewards.append(mean_reward(collect(POLICY, current, judged, None)))
    return float(np.mean(rewards))


def fine_tune(
    start: Vector, task: Task, epochs: int, episodes: int, rng: np.random.Generator
) -> Vector:
    """PPO on one condition for long: its expert."""
    flat = warm(start, task, rng)
    ppo = PpoSettings(learning_rate=3e-3, minibatch_slots=300)
    adam = Adam(ppo.learning_rate)
    for epoch in range(epochs):
        adam.learning_rate = ppo.learning_rate * (1.0 - 0.9 * epoch / epochs)
        flat = ppo_update(flat, task.batch(episodes, rng), adam, ppo, rng)[0]
    return flat


def ppo_update(
    flat: Vector,
    batch: HiddenEpisodes,
    adam: Adam,
    settings: PpoSettings,
    rng: np.random.Generator,
) -> tuple[Vector, float]:
    """One update on one batch, and the mean J a slot while exploring on it."""
    rollout = collect(POLICY, flat, batch, [rng])
    experience = Experience.of(rollout, linear_advantages(INMF, rollout))
    return (
        update(POLICY, flat, experience, adam, settings=settings, rng=rng),
        mean_reward(rollout),
    )


def warm(flat: Vector, task: Task, rng: np.random.Generator) -> Vector:
    """The policy reheated on what it sees in the task."""
    seen = collect(POLICY, flat, task.batch(2, rng), None).observations
    return reheated(POLICY, flat, seen.reshape(-1, INMF.observation_dim))


def greedy(flat: Array, batch: HiddenEpisodes) -> float:
    """Mean J a slot of greedy actions."""
    return mean_reward(collect(POLICY, flat, batch, None))
