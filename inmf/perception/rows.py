"""Columns of the wire and the mirror as traces and trajectories of one episode."""

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
