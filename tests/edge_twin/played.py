"""Trajectories of an emulated PLVN, for tests of what a twin makes of them."""

from dataclasses import replace

import numpy as np

from twintier.inmf.contract import Columns
from twintier.inmf.mobility import FIVE_STATE, Chain
from twintier.inmf.perception.baselines import pack
from twintier.inmf.perception.condition import Condition
from twintier.inmf.perception.emulator import REWARD_NOISE_J, EmulatorParameters, draw_trace
from twintier.inmf.perception.live import LiveEpisodes, before
from twintier.inmf.trajectory import Trajectories

URBAN = EmulatorParameters()
DENSE = replace(
    URBAN,
    objects=Chain((2.0, 6.0, 12.0, 18.0, 25.0), FIVE_STATE),
    distance=Chain((5.0, 20.0, 40.0, 60.0, 75.0), FIVE_STATE),
)
"""As in SUMO: more objects, larger gaps, rewards of tens of joules."""
MARGIN = 0.9
CLEAR = Condition(0.9, 0.1, 0.45, 2.0, 0.3)
RAIN = Condition(0.9, 0.1, 0.25, 6.0, 0.3)
UPDATED = Condition(1.3, 0.1, 0.45, 2.0, 0.3)


def rows_of(slots: Trajectories) -> Columns:
    """Slots of one episode as columns."""
    trace = slots.trace
    return {
        "bandwidth_hz": trace.bandwidth_hz[0],
        "objects": trace.objects[0],
        "distance_m": trace.distance_m[0],
        "present": trace.present[0].astype(float),
        "modes_before": slots.modes_before[0].astype(float),
        "infeasible": np.full(slots.reward_j.size, np.nan),
        "mode_changes": np.full(slots.reward_j.size, np.nan),
        "action": slots.modes[0].astype(float),
        "reward": slots.reward_j[0],
    }


def played(
    condition: Condition,
    slots: int,
    seed: int,
    *,
    emulator: EmulatorParameters = URBAN,
    noise_j: float = REWARD_NOISE_J,
) -> Trajectories:
    """One episode of greedy packing with a fixed margin, as measured."""
    rng = np.random.default_rng(seed)
    trace = draw_trace(emulator, 1, slots, rng)
    modes = pack(MARGIN, trace.bandwidth_hz, trace.objects, trace.distance_m, trace.present)
    reward_j = LiveEpisodes(trace, condition).rewards(modes)
    noise = rng.normal(0.0, noise_j, reward_j.shape)
    return Trajectories(trace, before(modes), modes, reward_j + noise)


def idle(slots: int) -> Trajectories:
    """Slots in which nobody cooperates: they say nothing of the condition."""
    some = played(CLEAR, slots, 5)
    nobody = np.zeros_like(some.modes)
    return Trajectories(some.trace, nobody, nobody, np.zeros_like(some.reward_j))
