"""Episodes to learn from: all randomness is drawn before the first slot, stepping is deterministic.

Memory is what the next observation depends on beside the trace: the modes before, a queue, a
capacity. It is a mapping of arrays with the episodes as first axis, opaque to learning. Same seed,
same trace, whatever the actions; a batch equals its episodes one by one.
"""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from twintier.inmf.spec import Array, InmfSpec, Mask, Observation

Memory = Mapping[str, npt.NDArray[np.generic]]
Actions = npt.NDArray[np.generic]
"""(..., action_dim): bool for MultiBinary, int64 index for Discrete, float32 for Box."""


class EpisodeBatch(Protocol):
    """Episodes of one INMF, played side by side."""

    @property
    def spec(self) -> InmfSpec:
        """Sizes and discounting."""
        ...

    @property
    def episodes(self) -> int:
        """Number of episodes in the batch."""
        ...

    @property
    def exogenous(self) -> bool:
        """True if observations do not depend on actions, so a rollout is one forward pass."""
        ...

    def first_memory(self) -> Memory:
        """Memory before the first slot."""
        ...

    def observe(self, slot: int, memory: Memory) -> Observation:
        """(episodes, observation_dim) of a slot."""
        ...

    def observe_all(self) -> Observation:
        """(episodes, slots, observation_dim) of all slots; of exogenous batches only."""
        ...

    def remember(self, slot: int, memory: Memory, actions: Actions) -> Memory:
        """Memory after `actions` (episodes, action_dim) of a slot."""
        ...

    def rewards(self, actions: Actions) -> Array:
        """True reward of every slot, (episodes, slots), of all actions (episodes, slots, A)."""
        ...


@runtime_checkable
class Scored(EpisodeBatch, Protocol):
    """A batch whose emulator can say what every other action would have earned: the teacher."""

    def scores(self, actions: Actions) -> Array:
        """Worth in one slot of every choice, at the states that `actions` visit.

        Args:
            actions: (episodes, slots, action_dim) played.

        Returns:
            (episodes, slots, choices): 2^n choices of MultiBinary n, bit i of the index being
            component i; k choices of Discrete k.
        """
        ...


@runtime_checkable
class Replayed(EpisodeBatch, Protocol):
    """What a PLVN did and measured, with the means to emulate other actions on it."""

    def measured(self, actions: Actions) -> tuple[Array, Mask]:
        """Rewards with measured ones where the PLVN did the same in the same state.

        Returns:
            (episodes, slots) rewards, and where they are measured.
        """
        ...
