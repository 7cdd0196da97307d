"""The encoder of recent transitions on `coop-perception-hidden` v1: no parameters known.

It acts in a condition that it has not been told, first without evidence, then with the transitions
of the episodes that it played itself; rewards are measured with the platform's noise. Shares are
over the strict oracle.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from bench._hidden import DAY, INMF, HiddenEpisodes, Task, batches, draw_tasks
from twintier.inmf.evaluate import mean_reward
from twintier.inmf.perception.emulator import REWARD_NOISE_J
from twintier.inmf.perception.live import MODES_BEFORE, PAIRS, all_modes, before
from twintier.inmf.spec import Array, Mask, Observation
from twintier.inmf.trajectory import Trace
from twintier.learning.encoder import (
    EncoderBatch,
    EncoderPolicy,
    EncoderSettings,
    train_encoder,
)

CHOICES = all_modes(PAIRS)
REWARD_SCALE_J = 3.0
LOWEST = -1.0
"""Scaled reward at which a slot that did not fit is cut off; it says no more than that."""
SETTINGS = EncoderSettings(
    observation_dim=INMF.observation_dim,
    transition_dim=INMF.observation_dim + PAIRS + 1,
    choices=len(CHOICES),
)
BATCHES, TASKS, EPISODES_OF_EVIDENCE = 1500, 32, 4


def transitions_of(seen: Observation, modes: Mask, measured_j: Array) -> Observation:
    """Rows for the encoder, (..., 14), from observations, choices and measured rewards."""
    reward = np.clip(measured_j / REWARD_SCALE_J, LOWEST, 2.0)[..., None]
    return np.concatenate([seen, modes, reward], axis=-1, dtype=np.float32)


def measured(
    batch: HiddenEpisodes, modes: Mask, modes_before: Mask, rng: np.random.Generator
) -> Observation:
    """Transitions (episodes, slots, 14) of what was done, with noise on the rewards."""
    reward = batch.outcome(modes_before, modes).reward_j
    reward = reward + rng.normal(0.0, REWARD_NOISE_J, reward.shape)
    return transitions_of(batch.observe_after(modes_before), modes, reward)


def draw_batch(policy: EncoderPolicy, rng: np.random.Generator) -> EncoderBatch:
    """Tasks with evidence, and one episode each with what every choice is worth in every slot."""
    tasks = draw_tasks(TASKS, rng)
    shown = batches(tasks, 1)([rng])
    earlier = rng.random((TASKS, INMF.slots, PAIRS)) < 0.5
    worth = [
        shown.outcome(earlier, np.broadcast_to(one, earlier.shape)).reward_j for one in CHOICES
    ]
    return EncoderBatch(
        _evidence(policy, tasks, rng),
        shown.observe_after(earlier),
        np.stack(worth, axis=-1).astype(np.float32),
    )


def _evidence(policy: EncoderPolicy, tasks: list[Task], rng: np.random.Generator) -> Observation:
    """Transitions (tasks, n, 14) of what the policy does, half of the tasks after evidence.

    A share of random modes, other in each task, is mixed in; modes before are those of the slot
    before as it would be played without knowing what came before it.
    """
    nothing = np.zeros((TASKS, 0, SETTINGS.transition_dim), np.float32)
    first = _behaviour(policy, tasks, _context(policy, nothing), rng)
    some = first[:, rng.permutation(first.shape[1])[: rng.integers(1, first.shape[1])]]
    second = _behaviour(policy, tasks, _context(policy, some), rng)
    return np.where(rng.random((TASKS, 1, 1)) < 0.5, first, second)


def _context(policy: EncoderPolicy, transitions: Observation) -> Tensor:
    counts = torch.full((len(transitions),), transitions.shape[1])
    with torch.no_grad():
        return policy.context(torch.from_numpy(transitions), counts)


def _behaviour(
    policy: EncoderPolicy, tasks: list[Task], context: Tensor, rng: np.random.Generator
) -> Observation:
    batch = batches(tasks, EPISODES_OF_EVIDENCE)([rng])
    shape = (batch.episodes, INMF.slots, PAIRS)
    seen = batch.observe_after(rng.random(shape) < 0.5).reshape(TASKS, -1, INMF.observation_dim)
    own = CHOICES[policy.choose(seen, context)].reshape(shape)
    share = np.repeat(rng.uniform(0.0, 1.0, TASKS) ** 2, EPISODES_OF_EVIDENCE)
    random = rng.random(shape[:-1]) < share[:, None]
    modes = np.where(random[..., None], rng.random(shape) < 0.5, own)
    return measured(batch, modes, before(modes), rng).reshape(TASKS, -1, SETTINGS.transition_dim)


def train(rng: np.random.Generator, count: int = BATCHES) -> EncoderPolicy:
    """One encoder for all conditions of the prior."""
    policy = EncoderPolicy(SETTINGS, rng)
    train_encoder(policy, lambda draws: draw_batch(policy, draws), count, rng)
    return policy


def play(policy: EncoderPolicy, batch: HiddenEpisodes, context: Tensor) -> Mask:
    """Greedy modes of all episodes with what is known, (episodes, slots, pairs)."""
    modes = np.zeros((batch.episodes, INMF.slots, PAIRS), np.bool_)
    last = modes[:, 0]
    for slot in range(INMF.slots):
        last = CHOICES[policy.choose(batch.observe(slot, {MODES_BEFORE: last}), context)]
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
    count: int = BATCHES,
) -> dict[str, float]:
    """Mean shares of the strict oracle without evidence and after 1 and 10 episodes."""
    policy = train(rng, count)
    result = {}
    for episodes in (0, 1, 10):
        shares = []
        for name, task in DAY.items():
            context = informed(policy, task, episodes, rng)
            batch = HiddenEpisodes(traces[name], task.condition)
            shares.append(mean_reward(batch, play(policy, batch, context)) / oracle[name])
        result[f"strict_inferred_{episodes}"] = float(np.mean(shares))
    return result
