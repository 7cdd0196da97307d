"""The encoder of recent transitions on `coop-perception-hidden` v1: no parameters known.

It acts in a condition that it has not been told, first without evidence, then with the transitions
of the episodes that it played itself; rewards are measured with the platform's noise. Shares are
over the strict oracle.
"""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from bench._hidden import DAY, INMF, HiddenEpisodes, Task, batches, draw_tasks
from inmf.baselines import all_modes
from inmf.emulator import REWARD_NOISE_J
from inmf.evaluate import before, mean_reward_j
from inmf.live import PAIRS
from inmf.spec import Observation
from inmf.trajectory import Array, Mask, Trace
from learning.encoder import (
    EncoderBatch,
    EncoderPolicy,
    EncoderSettings,
    train_encoder,
)

CHOICES = all_modes(PAIRS)
CODES = 1 << np.arange(PAIRS)
REWARD_SCALE_J = 3.0
LOWEST = -1.0
"""Scaled reward at which a slot that did not fit is cut off; it says no more than that."""
SETTINGS = EncoderSettings(
    observation_dim=INMF.observation_dim,
    transition_dim=INMF.observation_dim + PAIRS + 1,
    choices=len(CHOICES),
)
STEPS, TASKS, EPISODES_OF_EVIDENCE = 2000, 32, 4


def transitions_of(seen: Observation, modes: Mask, measured_j: Array) -> Observation:
    """Rows for the encoder, (..., 14), from observations, choices and measured rewards."""
    reward = np.clip(measured_j / REWARD_SCALE_J, LOWEST, 2.0)[..., None]
    return np.concatenate([seen, modes, reward], axis=-1, dtype=np.float32)


def measured(
    batch: HiddenEpisodes, modes: Mask, modes_before: Mask, rng: np.random.Generator
) -> Observation:
    """Transitions (episodes, slots, 14) of what was done, with noise on the rewards."""
    reward = batch.rewards(modes_before, modes)
    reward = reward + rng.normal(0.0, REWARD_NOISE_J, reward.shape)
    return transitions_of(batch.observe_all(modes_before), modes, reward)


def draw_batch(policy: EncoderPolicy, rng: np.random.Generator) -> EncoderBatch:
    """Tasks with some evidence each, and one episode each with the best choices."""
    tasks = draw_tasks(TASKS, rng)
    evidence = batches(tasks, EPISODES_OF_EVIDENCE)([rng])
    shape = (evidence.episodes, INMF.slots, PAIRS)
    modes_before = rng.random(shape) < 0.5
    modes = _some_behaviour(policy, evidence.observe_all(modes_before), rng)
    known = measured(evidence, modes, modes_before, rng).reshape(TASKS, -1, SETTINGS.transition_dim)
    longest = np.log1p(SETTINGS.longest)
    counts = np.expm1(rng.uniform(0.0, longest, TASKS)).astype(np.int64)
    shown = batches(tasks, 1)([rng])
    earlier = rng.random((TASKS, INMF.slots, PAIRS)) < 0.5
    worth = [shown.rewards(earlier, np.broadcast_to(one, earlier.shape)) for one in CHOICES]
    return EncoderBatch(
        known[:, : SETTINGS.longest],
        counts,
        shown.observe_all(earlier),
        np.stack(worth, axis=-1).astype(np.float32),
    )


def _some_behaviour(policy: EncoderPolicy, seen: Observation, rng: np.random.Generator) -> Mask:
    """What the policy does without evidence, with a share of random modes that differs by task."""
    nothing = policy.summary(np.zeros((0, SETTINGS.transition_dim), np.float32))
    own = CHOICES[policy.choose(seen.reshape(-1, seen.shape[-1]), nothing)]
    modes: Mask = own.reshape(*seen.shape[:-1], PAIRS)
    share = np.repeat(rng.uniform(0.0, 1.0, TASKS), EPISODES_OF_EVIDENCE)
    random = rng.random(modes.shape[:-1]) < share[:, None]
    return np.where(random[..., None], rng.random(modes.shape) < 0.5, modes)


def train(rng: np.random.Generator, steps: int = STEPS) -> EncoderPolicy:
    """One encoder for all conditions of the prior."""
    policy = EncoderPolicy(SETTINGS, rng)
    train_encoder(policy, lambda draws: draw_batch(policy, draws), steps, rng)
    return policy


def play(policy: EncoderPolicy, batch: HiddenEpisodes, context: Tensor) -> Mask:
    """Greedy modes of all episodes with what is known, (episodes, slots, pairs)."""
    modes = np.zeros((batch.episodes, INMF.slots, PAIRS), np.bool_)
    last = modes[:, 0]
    for slot in range(INMF.slots):
        last = CHOICES[policy.choose(batch.observe(slot, last), context)]
        modes[:, slot] = last
    return modes


def informed(policy: EncoderPolicy, task: Task, episodes: int, rng: np.random.Generator) -> Tensor:
    """The context after so many episodes, each played with what the ones before it told."""
    known = np.zeros((0, SETTINGS.transition_dim), np.float32)
    for _ in range(episodes):
        batch = task.batch(1, rng)
        modes = play(policy, batch, policy.summary(known))
        known = np.concatenate([known, measured(batch, modes, before(modes), rng)[0]])
    return policy.summary(known)


def figures(
    traces: Mapping[str, Trace],
    oracle: Mapping[str, float],
    rng: np.random.Generator,
    steps: int = STEPS,
) -> dict[str, float]:
    """Mean shares of the strict oracle without evidence and after 1 and 10 episodes."""
    policy = train(rng, steps)
    result = {}
    for episodes in (0, 1, 10):
        shares = []
        for name, task in DAY.items():
            context = informed(policy, task, episodes, rng)
            batch = HiddenEpisodes(traces[name], task.condition)
            shares.append(mean_reward_j(batch, play(policy, batch, context)) / oracle[name])
        result[f"strict_inferred_{episodes}"] = float(np.mean(shares))
    return result
