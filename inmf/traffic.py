"""What a source of vehicles shows of one PLVN in one slot, whatever is managed there.

Sources name no INMF: they give positions, links, tasks and resources, and the world of an INMF
makes its own fields of them.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from twintier.inmf.spec import Array, Mask

EMPTY = np.zeros(0)


@dataclass(frozen=True, slots=True)
class Vehicle:
    """One vehicle in one slot; unavailable numbers are None."""

    vehicle: str
    """Hashed id."""
    lat_deg: float | None
    lon_deg: float | None
    speed_mps: float | None


@dataclass(frozen=True, slots=True)
class Traffic:
    """One PLVN in one slot; unavailable numbers are None."""

    slot: int
    sim_time_s: float
    hour: float | None
    """Local civil hour with fraction."""
    activity: float = 1.0
    """Share of the human-driven vehicles that use the radio now; follows the hour."""
    human_driven: int | float | None = None
    """Human-driven vehicles within the radio's reach: counted (int), or an average (float)."""
    vehicle_number: int | None = None
    """All vehicles of the PLVN."""
    mean_speed_share: float | None = None
    """Mean of speed over speed limit."""
    vehicles: tuple[Vehicle, ...] = ()
    """At most 64; empty where the source has no vehicles."""
    link_objects: Array = field(default_factory=lambda: EMPTY)
    """(links,) objects to perceive of each pair of automated vehicles."""
    link_distance_m: Array = field(default_factory=lambda: EMPTY)
    """(links,) transmitter-receiver distance."""
    link_present: Mask = field(default_factory=lambda: EMPTY.astype(bool))
    """(links,) whether the row holds a pair."""


@dataclass(frozen=True, slots=True)
class WorldSeed:
    """What everything random in a world follows from, so that PLVNs do not disturb each other."""

    seed: int
    plvn: str
    constant: bool = False
    """Neither the hour nor events change anything."""
    online_from_s: float = 0.0
    """Simulated time from which the first event counts."""

    def generator(self, purpose: str) -> np.random.Generator:
        """A generator that depends on nothing but this seed and the purpose."""
        digest = hashlib.blake2b(f"{purpose}\0{self.plvn}".encode(), digest_size=8).digest()
        return np.random.default_rng([self.seed, int.from_bytes(digest, "big")])
