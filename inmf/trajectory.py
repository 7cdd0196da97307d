"""What happened, or is assumed to happen, in the slots of episodes.

A `Trace` is exogenous: it does not depend on the policy, so policy, baseline and bound can be
compared on the same one. `Trajectories` add what a policy did on it and what that was worth.
Shapes are checked here, once, where data enter.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class ShapeError(ValueError):
    """Arrays that belong together have shapes that do not fit."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The exogenous part of `live` cooperative perception, episodes x slots (x pairs)."""

    bandwidth_hz: Array
    """(episodes, slots): bandwidth left for V2V."""
    objects: Array
    """(episodes, slots, pairs): perception workload W of each pair, objects."""
    distance_m: Array
    """(episodes, slots, pairs): transmitter-receiver distance d."""
    present: Mask
    """(episodes, slots, pairs): False where a row holds no CAV pair in that slot."""

    def __post_init__(self) -> None:
        """Check that the shapes agree."""
        per_pair = self.objects.shape
        if len(per_pair) != 3 or self.bandwidth_hz.shape != per_pair[:2]:
            raise ShapeError(
                f"objects {per_pair} must be (episodes, slots, pairs) over bandwidth_hz "
                f"{self.bandwidth_hz.shape}; pass arrays of the same episodes and slots"
            )
        if self.distance_m.shape != per_pair or self.present.shape != per_pair:
            raise ShapeError(
                f"distance_m {self.distance_m.shape} and present {self.present.shape} "
                f"must have the shape of objects {per_pair}"
            )

    @property
    def present_before(self) -> Mask:
        """(episodes, slots, pairs): `present` of the slot before; True in the first."""
        before = np.ones_like(self.present)
        before[:, 1:] = self.present[:, :-1]
        return before

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return int(self.objects.shape[0])

    @property
    def slots(self) -> int:
        """Slots of an episode."""
        return int(self.objects.shape[1])

    @property
    def pairs(self) -> int:
        """Rows for CAV pairs."""
        return int(self.objects.shape[2])


@dataclass(frozen=True, slots=True)
class Trajectories:
    """State, action and reward of every slot."""

    trace: Trace
    modes_before: Mask
    """(episodes, slots, pairs): mode of each pair before the decision; True is CP."""
    modes: Mask
    """(episodes, slots, pairs): the decision; True is CP."""
    reward_j: Array
    """(episodes, slots): computing efficiency gain less switching cost, as measured."""

    def __post_init__(self) -> None:
        """Check that the shapes agree."""
        expected = self.trace.objects.shape
        if self.modes.shape != expected or self.modes_before.shape != expected:
            raise ShapeError(
                f"modes {self.modes.shape} and modes_before {self.modes_before.shape} "
                f"must have the shape of the trace's pairs {expected}"
            )
        if self.reward_j.shape != expected[:2]:
            raise ShapeError(f"reward_j {self.reward_j.shape} must be {expected[:2]}")
