"""What an INMF declares of itself: sizes, actions, network, slots, discounting.

Everything here is a frozen value. What learning plays are `EpisodeBatch`es (`inmf.episodes`), and
what an INMF does with slots is its contract (`inmf.contract`).
"""

from dataclasses import dataclass, field
from math import prod
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Observation = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MultiBinary:
    """So many choices of yes or no; an action is a row of 0 and 1."""

    size: int

    @property
    def width(self) -> int:
        """Numbers of one action."""
        return self.size


@dataclass(frozen=True, slots=True)
class Discrete:
    """One of so many choices; an action is its index."""

    choices: int

    @property
    def width(self) -> int:
        """Numbers of one action."""
        return 1


@dataclass(frozen=True, slots=True)
class Box:
    """Real numbers between limits."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def width(self) -> int:
        """Numbers of one action."""
        return len(self.low)


ActionSpace = MultiBinary | Discrete | Box
Head = Literal["thresholded_gaussian", "categorical", "gaussian"]
"""How a network's outputs become actions: the paper's Gaussian that is discretised (MultiBinary),
a categorical distribution (Discrete), a Gaussian clipped to the limits (Box)."""


@dataclass(frozen=True, slots=True)
class Mlp:
    """The built-in tanh network on one flat vector."""

    hidden: tuple[int, ...] = (64, 64)


@dataclass(frozen=True, slots=True)
class TorchModule:
    """A `torch.nn.Module` of the INMF's own; only an engine of `learning` loads it.

    Called with observations (rows, observation_dim) float32, it returns (rows, outputs) float32
    with as many outputs as the head of the action space needs.
    """

    path: str
    """`package.module:Class`, from an installed INMF and never from the wire."""
    arguments: tuple[tuple[str, int | float | str], ...] = ()
    """Keyword arguments of the constructor, beside observation_dim and outputs."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Lengths in slots of what the platform does with an INMF."""

    batch: int = 15
    """Slots of a batch of trajectories; the block of the watch."""
    exchange: int = 75
    """True slots of an exchange of Fig. 5(b)."""
    retrain: int = 30
    """Slots after a change point that a retraining starts from at least."""
    calibration: int = 400
    """Newest slots that a calibration looks at."""
    cool_down: int = 375
    """Slots without a second alarm."""
    performance: int = 75
    """Slots of one performance summary."""
    telemetry: int = 10
    """Slots of one telemetry message."""
    refit: int = 300
    """Slots of telemetry since the last fit of the emulator that ask for a new one."""


@dataclass(frozen=True, slots=True)
class InmfSpec:
    """Declared once per INMF; learning takes sizes and discounting from here."""

    inmf: str
    """Id on the wire, for example `coop-perception`."""
    observation_dim: int
    actions: ActionSpace
    slots: int
    """Slots of an episode."""
    slot_s: float
    gamma: float
    """Discount factor (gamma)."""
    gae_lambda: float
    """Weight of longer returns in the generalised advantage (lambda)."""
    version: int = 1
    network: Mlp | TorchModule = field(default_factory=Mlp)
    reward_unit: str = "J"
    reward_floor: float = 0.15
    """Least difference of mean rewards a slot that matters, in the reward's unit; guard and
    probation forgive that much."""
    reward_error: float = 0.01
    """Least share of the reward that the emulator's form is off by (assumed)."""
    windows: Windows = field(default_factory=Windows)

    @property
    def action_dim(self) -> int:
        """Numbers of one action."""
        return self.actions.width


@dataclass(frozen=True, slots=True)
class Field:
    """One quantity of a slot, as a PLVN measures it."""

    name: str
    """Unique within the INMF; `action`, `reward`, `sample` and `log_prob` are the platform's."""
    unit: str
    """SI, or `1` for a plain number; `flag` for 0 or 1."""
    shape: tuple[int, ...] = ()
    """Of one slot."""
    low: float = -1e15
    high: float = 1e15
    nullable: bool = False
    """Whether a slot may lack it: NaN inside, null on the wire."""

    @property
    def size(self) -> int:
        """Numbers in one slot."""
        return prod(self.shape)
