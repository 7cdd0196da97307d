"""Greedy play on common episodes: policies and baselines compared slot by slot."""

import numpy as np

from twintier.inmf.actor import Actor
from twintier.inmf.episodes import Actions, EpisodeBatch


def greedy_actions(actor: Actor, batch: EpisodeBatch) -> Actions:
    """What the policy chooses without exploring, (episodes, slots, action_dim)."""
    if batch.exogenous:
        return actor.act(batch.observe_all())
    memory, chosen = batch.first_memory(), []
    for slot in range(batch.spec.slots):
        chosen.append(actor.act(batch.observe(slot, memory)))
        memory = batch.remember(slot, memory, chosen[-1])
    return np.stack(chosen, axis=1)


def mean_reward(batch: EpisodeBatch, actions: Actions) -> float:
    """Mean reward of a slot of actions (episodes, slots, action_dim)."""
    return float(batch.rewards(actions).mean())
