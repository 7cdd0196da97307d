"""The port through which an agent sees its PLVN: real vehicles, SUMO, or the built-in simulator.

A source advances in slots of simulated time. In each slot it says what every PLVN looks like, takes
the modes that the agent chose, and says what they were worth as measured under a hidden condition
that only the source knows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from twintier.inmf.trajectory import Array, Mask
from twintier.protocol.ids import PlvnId
from twintier.protocol.messages import Site, VehicleState


class SourceError(Exception):
    """The source cannot start or go on; the message says what to mend."""


@dataclass(frozen=True, slots=True)
class PlvnProfile:
    """A PLVN of a source."""

    plvn: PlvnId
    site: Site


@dataclass(frozen=True, slots=True)
class SlotObserved:
    """One PLVN at the begin of a slot; unavailable numbers are None."""

    slot: int
    sim_time_s: float
    hour: float | None
    """Local civil hour with fraction."""
    bandwidth_hz: float
    objects: Array
    """(pairs,): perception workload."""
    distance_m: Array
    """(pairs,): transmitter-receiver distance."""
    present: Mask
    """(pairs,): whether the row holds a CAV pair."""
    vehicle_number: int | None
    mean_speed_share: float | None
    vehicles: tuple[VehicleState, ...]
    """At most 64, hashed ids; empty where the source has no vehicles."""


@dataclass(frozen=True, slots=True)
class SlotMeasured:
    """What the modes of a slot were worth."""

    slot: int
    modes: Mask
    """(pairs,): as carried out; an absent pair is False."""
    reward_j: float
    infeasible: bool
    """Whether the chosen modes could not be carried out."""


class Source(Protocol):
    """Advances its PLVNs slot by slot; one source per process drives one simulated clock."""

    @property
    def clock_id(self) -> str:
        """Names the simulated clock in envelopes."""
        ...

    @property
    def plvns(self) -> Sequence[PlvnProfile]:
        """The PLVNs, known once started."""
        ...

    async def start(self) -> None:
        """Build up, warm up, place PLVNs.

        Raises:
            SourceError: if that is impossible.
        """
        ...

    def history(self, plvn: PlvnId) -> Sequence[SlotObserved]:
        """Slots before the first observed one, such as of the warm-up; may be empty."""
        ...

    async def observe(self) -> Mapping[PlvnId, SlotObserved]:
        """Advance by one slot and see every PLVN.

        Raises:
            SourceError: if the source has died.
        """
        ...

    def measure(self, plvn: PlvnId, modes: Mask) -> SlotMeasured:
        """Carry out the modes in the present slot; once per PLVN and slot."""
        ...

    async def stop(self) -> None:
        """End everything that the source started."""
        ...
