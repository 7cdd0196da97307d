"""Episodes played by policies, as the arrays that learning needs.

Where states are exogenous a rollout is one forward pass; otherwise it is a loop over slots, with
all episodes (and all twins) of the batch in each pass. Rewards are computed once, at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twintier.inmf.episodes import Actions, EpisodeBatch
from twintier.inmf.spec import Array as Rewards
from twintier.inmf.spec import Observation
from twintier.learning.engines.port import Array, Pass
from twintier.learning.policy import Policy

GROUP_ROWS = 1500
"""Rows of a group: 64 units of float32 are then 0.4 MB a layer."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """What policies saw, did and earned; leading axes are the twins', if there are several."""

    observations: Observation
    """(..., episodes, slots, observation_dim) float32."""
    samples: Array
    """(..., episodes, slots, A) float32: what actions were made of; greedy ones without noise."""
    actions: Actions
    """(..., episodes, slots, A)."""
    rewards: Rewards
    """(..., episodes, slots) float64."""
    passes: list[Pass] | None = None
    """The forward pass of each group of `twin_groups`, where there was only one."""

    @property
    def slots(self) -> int:
        """Number of slots over all episodes (and twins)."""
        return self.rewards.size


def twin_groups(twins: int, rows: int) -> list[slice]:
    """Twins to compute in one call: as many as keep activations inside the processor's cache.

    Few rows a twin are dominated by the cost of a call, many rows by memory; measured on 64-64.
    """
    size = max(1, GROUP_ROWS // rows)
    return [slice(start, start + size) for start in range(0, twins, size)]


def collect(
    policy: Policy,
    parameters: Array,
    batch: EpisodeBatch,
    rngs: Sequence[np.random.Generator] | None,
) -> Rollout:
    """Play a batch of episodes.

    Args:
        policy: network and head.
        parameters: (n,) one policy for all episodes, or (twins, n): the batch then holds the
            same number of episodes of each twin, twin by twin.
        batch: the episodes.
        rngs: source of each twin's exploration (one for a single policy), so that a twin's
            episodes do not depend on who is computed beside it; None for greedy actions.

    Returns:
        Arrays with the leading axes of `parameters`.
    """
    lead = parameters.shape[:-1]
    per_twin = (*lead, batch.episodes // int(np.prod(lead, dtype=int)), batch.spec.slots)
    noise = np.zeros((*per_twin, policy.head.outputs), np.float32)
    if rngs is not None:
        for rng, rows in zip(rngs, noise.reshape(-1, *noise.shape[-3:]), strict=True):
            policy.head.draw(rng, rows)
        policy.head.spread(noise, policy.free(parameters))
    play = _play_at_once if batch.exogenous else _play_slot_by_slot
    observations, samples, passes = play(policy, parameters, batch, noise)
    actions = policy.head.action(samples)
    rewards = batch.rewards(actions.reshape(batch.episodes, batch.spec.slots, -1))
    return Rollout(observations, samples, actions, rewards.reshape(per_twin), passes)


def _play_at_once(
    policy: Policy, parameters: Array, batch: EpisodeBatch, noise: Array
) -> tuple[Observation, Array, list[Pass] | None]:
    lead = noise.shape[:-3]
    dim = batch.spec.observation_dim
    seen = batch.observe_all().reshape(*lead, -1, dim)
    groups = twin_groups(lead[0], seen.shape[-2]) if lead else [slice(None)]
    passes = [policy.network.run(parameters[group], seen[group]) for group in groups]
    outputs = np.concatenate([each.outputs for each in passes]).reshape(noise.shape)
    samples = policy.head.explore(outputs, noise)
    return seen.reshape(*noise.shape[:-1], dim), samples, passes


def _play_slot_by_slot(
    policy: Policy, parameters: Array, batch: EpisodeBatch, noise: Array
) -> tuple[Observation, Array, list[Pass] | None]:
    observations = np.empty((*noise.shape[:-1], batch.spec.observation_dim), np.float32)
    samples = np.empty((*noise.shape[:-1], policy.head.width), np.float32)
    per_slot = (*noise.shape[:-2], batch.spec.observation_dim)
    memory = batch.first_memory()
    for slot in range(batch.spec.slots):
        seen = batch.observe(slot, memory).reshape(per_slot)
        observations[..., slot, :] = seen
        outputs = policy.network.run(parameters, seen).outputs
        sampled = policy.head.explore(outputs, noise[..., slot, :])
        samples[..., slot, :] = sampled
        actions = policy.head.action(sampled).reshape(batch.episodes, -1)
        memory = batch.remember(slot, memory, actions)
    return observations, samples, None


def mean_reward(rollout: Rollout) -> float:
    """Mean reward of a slot."""
    return float(rollout.rewards.mean())
