"""Greedy play on a common trace: policies and baselines compared slot by slot."""

import numpy as np

from twintier.inmf.actor import Actor
from twintier.inmf.spec import EpisodeBatch
from twintier.inmf.trajectory import Mask


def before(modes: Mask) -> Mask:
    """Modes before each slot, from modes (episodes, slots, pairs); all-SP before the first."""
    shifted = np.zeros_like(modes)
    shifted[:, 1:] = modes[:, :-1]
    return shifted


def greedy_modes(actor: Actor, batch: EpisodeBatch) -> Mask:
    """What the policy's means choose, (episodes, slots, action_dim)."""
    spec = batch.spec
    modes = np.zeros((batch.episodes, spec.slots, spec.action_dim), bool)
    if batch.exogenous:
        return actor.modes(batch.observe_all(modes))
    last = np.zeros((batch.episodes, spec.action_dim), bool)
    for slot in range(spec.slots):
        last = actor.modes(batch.observe(slot, last))
        modes[:, slot] = last
    return modes


def mean_reward_j(batch: EpisodeBatch, modes: Mask) -> float:
    """Mean J a slot of modes (episodes, slots, action_dim)."""
    return float(batch.rewards(before(modes), modes).mean())
