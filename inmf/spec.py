"""The ports of an INMF: what learning, twins and agents may know of any of them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from twintier.inmf.trajectory import Array, Mask

Observation = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class InmfSpec:
    """Declared once per INMF; learning takes sizes and discounting from here."""

    inmf: str
    """Id on the wire, for example `coop-perception`."""
    observation_dim: int
    action_dim: int
    slots: int
    """Slots of an episode."""
    slot_s: float
    gamma: float
    """Discount factor (gamma)."""
    gae_lambda: float
    """Weight of longer returns in the generalised advantage (lambda)."""


class EpisodeBatch(Protocol):
    """A batch of episodes whose randomness was drawn at reset: stepping is deterministic.

    An action is binary for each of `spec.action_dim` components; True is CP in cooperative
    perception. All arrays have the batch's episodes as first axis.
    """

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

    def observe(self, slot: int, modes_before: Mask) -> Observation:
        """(episodes, observation_dim) of `slot`, after `modes_before` (episodes, action_dim)."""
        ...

    def observe_all(self, modes_before: Mask) -> Observation:
        """Observations of all slots, (episodes, slots, dim), from (episodes, slots, A) modes."""
        ...

    def rewards(self, modes_before: Mask, modes: Mask) -> Array:
        """True reward of every slot, (episodes, slots), from (episodes, slots, A) modes."""
        ...
