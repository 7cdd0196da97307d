"""True slots of `live` cooperative perception as episodes on which other modes can be tried."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from twintier.inmf.episodes import Actions
from twintier.inmf.perception.assisted import AssistedEpisodes
from twintier.inmf.perception.condition import Condition
from twintier.inmf.perception.live import before
from twintier.inmf.spec import Array, Mask
from twintier.inmf.trajectory import Trace, Trajectories

Scalar = TypeVar("Scalar", bound=np.generic)


class ReplayedEpisodes(AssistedEpisodes):
    """What a PLVN did and measured, in a calibrated condition; a `Replayed` batch."""

    def __init__(self, done: Trajectories, condition: Condition) -> None:
        """Take what was done in whole episodes, and the condition that other modes are worth in."""
        super().__init__(done.trace, condition)
        self.done = done

    def measured(self, actions: Actions) -> tuple[Array, Mask]:
        """Rewards with measured ones where the PLVN did the same from the same modes.

        Args:
            actions: (episodes, slots, pairs) modes; those of pairs that are away do not matter.

        Returns:
            (episodes, slots) J, and where they are measured.
        """
        modes, there = actions.astype(bool, copy=False), self.trace.present
        earlier = before(modes & there)
        same = ((modes == self.done.modes) | ~there).all(axis=-1)
        same &= ((earlier == self.done.modes_before) | ~there).all(axis=-1)
        return np.where(same, self.done.reward_j, self.rewards(modes)), same


def in_episodes(done: Trajectories, slots: int) -> Trajectories | None:
    """The newest slots of one long episode cut into episodes of `slots`; None if too few."""
    episodes = done.reward_j.shape[1] // slots
    if not episodes:
        return None

    def cut(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        return array[0, -episodes * slots :].reshape(episodes, slots, *array.shape[2:])

    trace = done.trace
    return Trajectories(
        Trace(
            cut(trace.bandwidth_hz), cut(trace.objects), cut(trace.distance_m), cut(trace.present)
        ),
        cut(done.modes_before),
        cut(done.modes),
        cut(done.reward_j),
    )
