"""The clairvoyant bound of `live`: dynamic programming over a known trace and condition."""

from collections.abc import Sequence

import numpy as np

from inmf.baselines import all_modes
from inmf.condition import Condition
from inmf.live import LiveEpisodes
from inmf.trajectory import Array, Mask, Trace


def clairvoyant(trace: Trace, conditions: Condition | Sequence[Condition]) -> Array:
    """Largest total reward of each episode that any modes earn, (episodes,) J.

    Modes before the first slot are all-SP, as in a rollout.
    """
    return _plan(trace, conditions)[0]


def clairvoyant_modes(trace: Trace, conditions: Condition | Sequence[Condition]) -> Mask:
    """Modes that earn it, (episodes, slots, pairs)."""
    return _plan(trace, conditions)[1]


def _plan(trace: Trace, conditions: Condition | Sequence[Condition]) -> tuple[Array, Mask]:
    batch = LiveEpisodes(trace, conditions)
    choices = all_modes(trace.pairs)
    nobody = np.zeros(trace.objects.shape, bool)
    gain_j = np.stack(
        [batch.rewards(*[np.broadcast_to(choice, nobody.shape)] * 2) for choice in choices], axis=-1
    )
    cost_j = np.broadcast_to(batch.physics.switching_cost_j, gain_j.shape[:2])
    value = np.zeros((trace.episodes, len(choices)))
    follow = np.zeros((trace.episodes, trace.slots, len(choices)), np.intp)
    for slot in range(trace.slots - 1, -1, -1):
        effective = choices & trace.present[:, slot, None]
        changes = (effective[:, :, None] != (choices & trace.present[:, slot, None])[:, None]).sum(
            axis=-1
        )
        total = (gain_j[:, slot] + value)[:, None] - cost_j[:, slot, None, None] * changes
        follow[:, slot] = total.argmax(axis=-1)
        value = total.max(axis=-1)
    modes = np.zeros(nobody.shape, bool)
    state = np.zeros(trace.episodes, np.intp)
    for slot in range(trace.slots):
        state = np.take_along_axis(follow[:, slot], state[:, None], axis=-1)[:, 0]
        modes[:, slot] = choices[state] & trace.present[:, slot]
    return value[:, 0], modes
