"""Episodes played by policies, as the arrays that learning needs.

Where states are exogenous a rollout is one forward pass; otherwise it is a loop over slots, with
all episodes (and all twins) of the batch in each pass. Rewards are computed once, at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twintier.inmf.actor import PolicySpec
from twintier.inmf.spec import EpisodeBatch, Observation
from twintier.inmf.trajectory import Array as Rewards
from twintier.inmf.trajectory import Mask
from twintier.learning.network import Array, forward, layers_of
from twintier.learning.policy import log_std_of

GROUP_ROWS = 1500
"""Rows of a group: 64 units of float32 are then 0.4 MB a layer."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """What policies saw, did and earned; leading axes are the twins', if there are several."""

    observations: Observation
    """(..., episodes, slots, observation_dim) float32."""
    actions: Array
    """(..., episodes, slots, action_dim) float32: the continuous samples, or the means."""
    modes_before: Mask
    """(..., episodes, slots, action_dim)."""
    modes: Mask
    """(..., episodes, slots, action_dim): True where the action is not below 0."""
    reward_j: Rewards
    """(..., episodes, slots) float64."""
    activations: list[list[Array]] | None = None
    """Of the forward pass of each group of `twin_groups`, where there was only one pass."""

    @property
    def slots(self) -> int:
        """Number of slots over all episodes (and twins)."""
        return self.reward_j.size


def twin_groups(twins: int, rows: int) -> list[slice]:
    """Twins to compute in one call: as many as keep activations inside the processor's cache.

    Few rows a twin are dominated by the cost of a call, many rows by memory; measured on 64-64.
    """
    size = max(1, GROUP_ROWS // rows)
    return [slice(start, start + size) for start in range(0, twins, size)]


def collect(
    spec: PolicySpec,
    parameters: Array,
    batch: EpisodeBatch,
    rngs: Sequence[np.random.Generator] | None,
) -> Rollout:
    """Play a batch of episodes.

    Args:
        spec: sizes of the policy.
        parameters: (n,) one policy for all episodes, or (twins, n): the batch then holds the
            same number of episodes of each twin, twin by twin.
        batch: the episodes; every episode starts with all modes False.
        rngs: source of each twin's exploration (one for a single policy), so that a twin's
            episodes do not depend on who is computed beside it; None for greedy actions.

    Returns:
        Arrays with the leading axes of `parameters`.
    """
    lead = parameters.shape[:-1]
    per_twin = (*lead, batch.episodes // int(np.prod(lead, dtype=int)), batch.spec.slots)
    noise = np.zeros((*per_twin, spec.action_dim), np.float32)
    if rngs is not None:
        for rng, rows in zip(rngs, noise.reshape(-1, *noise.shape[-3:]), strict=True):
            rng.standard_normal(dtype=np.float32, out=rows)
        noise *= np.exp(log_std_of(spec, parameters))[..., None, None, :]
    play = _play_at_once if batch.exogenous else _play_slot_by_slot
    observations, actions, activations = play(spec, parameters, batch, noise)
    modes = actions >= 0.0
    before = np.zeros_like(modes)
    before[..., 1:, :] = modes[..., :-1, :]
    flat = (batch.episodes, batch.spec.slots, spec.action_dim)
    reward = batch.rewards(before.reshape(flat), modes.reshape(flat))
    shaped = reward.reshape(per_twin)
    return Rollout(observations, actions, before, modes, shaped, activations)


def _play_at_once(
    spec: PolicySpec, parameters: Array, batch: EpisodeBatch, noise: Array
) -> tuple[Observation, Array, list[list[Array]] | None]:
    *lead, _, _, width = noise.shape
    slots = batch.spec.slots
    still = np.zeros((batch.episodes, slots, width), np.bool_)
    seen = batch.observe_all(still).reshape(*lead, -1, spec.observation_dim)
    rows = seen.shape[-2]
    groups = twin_groups(lead[0], rows) if lead else [slice(None)]
    passes = [forward(layers_of(spec.sizes, parameters[group]), seen[group]) for group in groups]
    noise += np.concatenate([each[-1] for each in passes]).reshape(noise.shape)
    return seen.reshape(*noise.shape[:-1], spec.observation_dim), noise, passes


def _play_slot_by_slot(
    spec: PolicySpec, parameters: Array, batch: EpisodeBatch, noise: Array
) -> tuple[Observation, Array, list[list[Array]] | None]:
    layers = layers_of(spec.sizes, parameters)
    observations = np.empty((*noise.shape[:-1], spec.observation_dim), np.float32)
    actions = noise
    per_slot = (*noise.shape[:-2], spec.observation_dim)
    modes = np.zeros((batch.episodes, spec.action_dim), np.bool_)
    for slot in range(batch.spec.slots):
        seen = batch.observe(slot, modes).reshape(per_slot)
        observations[..., slot, :] = seen
        actions[..., slot, :] += forward(layers, seen)[-1]
        modes = (actions[..., slot, :] >= 0.0).reshape(modes.shape)
    return observations, actions, None


def mean_reward(rollout: Rollout) -> float:
    """Mean reward of a slot, in J."""
    return float(rollout.reward_j.mean())
