"""Columns of the wire and the mirror as traces and trajectories of one episode."""

import numpy as np

from twintier.inmf.contract import ACTION, REWARD, Columns
from twintier.inmf.trajectory import Trace, Trajectories


def trace_of(rows: Columns) -> Trace:
    """Rows of consecutive slots as a trace of one episode."""
    return Trace(
        rows["bandwidth_hz"][None],
        rows["objects"][None],
        rows["distance_m"][None],
        rows["present"][None] > 0.5,
    )


def trajectories_of(rows: Columns) -> Trajectories:
    """Rows of consecutive slots as trajectories of one episode."""
    return Trajectories(
        trace_of(rows),
        rows["modes_before"][None] > 0.5,
        rows[ACTION][None] > 0.5,
        rows[REWARD][None],
    )


def in_episodes(trajectories: Trajectories, slots: int) -> Trajectories | None:
    """The newest slots of one episode cut into whole episodes; None if there are too few."""
    episodes = trajectories.reward_j.shape[1] // slots
    if not episodes:
        return None

    def cut(array: np.ndarray) -> np.ndarray:
        return array[0, -episodes * slots :].reshape(episodes, slots, *array.shape[2:])

    trace = trajectories.trace
    return Trajectories(
        Trace(
            cut(trace.bandwidth_hz), cut(trace.objects), cut(trace.distance_m), cut(trace.present)
        ),
        cut(trajectories.modes_before),
        cut(trajectories.modes),
        cut(trajectories.reward_j),
    )
