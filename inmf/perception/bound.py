"""The clairvoyant bound of `live`: dynamic programming over a known trace and condition."""

import numpy as np
import numpy.typing as npt

from twintier.inmf.perception.live import LiveEpisodes, all_modes, outcome
from twintier.inmf.spec import Array, Mask


def clairvoyant(batch: LiveEpisodes) -> Array:
    """Largest total reward of each episode that any modes earn, (episodes,) J.

    Modes before the first slot are all-SP, as in a rollout.
    """
    return _plan(batch)[0]


def clairvoyant_modes(batch: LiveEpisodes) -> Mask:
    """Modes that earn it, (episodes, slots, pairs)."""
    return _plan(batch)[1]


def _plan(batch: LiveEpisodes) -> tuple[Array, Mask]:
    trace = batch.trace
    choices = all_modes(trace.pairs)
    gain_j = _gains_of(batch, choices)
    cost_j = np.broadcast_to(batch.physics.switching_cost_j, gain_j.shape[:2])
    there = trace.present[:, :, None]
    value = np.zeros((trace.episodes, len(choices)))
    follow = np.zeros((trace.episodes, trace.slots, len(choices)), np.intp)
    for slot in range(trace.slots - 1, -1, -1):
        new = choices & there[:, slot]
        old = choices & there[:, max(slot - 1, 0)] & there[:, slot]
        changes = (old[:, :, None] != new[:, None]).sum(axis=-1)
        total = (gain_j[:, slot] + value)[:, None] - cost_j[:, slot, None, None] * changes
        follow[:, slot] = total.argmax(axis=-1)
        value = total.max(axis=-1)
    return value[:, 0], _followed(follow, choices) & trace.present


def _gains_of(batch: LiveEpisodes, choices: Mask) -> Array:
    """What each choice earns in each slot if nobody changes, (episodes, slots, choices)."""
    trace = batch.trace
    modes = choices[:, None, None]
    earned = outcome(
        batch.physics,
        trace.bandwidth_hz,
        trace.objects,
        trace.distance_m,
        trace.present,
        modes_before=modes,
        modes=modes,
    )
    return np.moveaxis(earned.reward_j, 0, -1)


def _followed(follow: npt.NDArray[np.intp], choices: Mask) -> Mask:
    """Modes along the best successors (episodes, slots, choices), from all-SP."""
    state = np.zeros(follow.shape[0], np.intp)
    path = np.empty(follow.shape[:2], np.intp)
    for slot in range(follow.shape[1]):
        state = np.take_along_axis(follow[:, slot], state[:, None], axis=-1)[:, 0]
        path[:, slot] = state
    modes: Mask = choices[path]
    return modes
