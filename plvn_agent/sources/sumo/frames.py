"""What SUMO's child process sends: one compact frame when RSUs are placed, then one per slot.

A frame is a length and a msgpack array. The child is our own and trusted; the pipe is private.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import msgpack

LENGTH = struct.Struct(">I")

PairFrame = tuple[int, float]
"""Workload and distance of a pair."""
VehicleFrame = tuple[str, float, float, float | None]
"""Hashed id, latitude, longitude, speed."""


@dataclass(frozen=True, slots=True)
class RsusPlaced:
    """RSUs stand; slots follow."""

    lat_lon_deg: Sequence[tuple[float, float]]
    separation_m: float
    """Least distance between two of them."""
    road: str
    """Class of the roads."""


@dataclass(frozen=True, slots=True)
class DiscSeen:
    """One PLVN in one slot."""

    members: int
    speed_share: float | None
    """Mean of speed over limit."""
    human_driven: int
    """Vehicles that are not automated, all of the disc."""
    pairs: Sequence[PairFrame | None]
    vehicles: Sequence[VehicleFrame]


@dataclass(frozen=True, slots=True)
class SlotSeen:
    """All PLVNs in one slot."""

    slot: int
    discs: Sequence[DiscSeen]


@dataclass(frozen=True, slots=True)
class ChildFailed:
    """The child cannot go on; the last frame."""

    reason: str


Frame = RsusPlaced | SlotSeen | ChildFailed


def pack(frame: Frame) -> bytes:
    """The frame as bytes, length first."""
    body: list[object]
    match frame:
        case RsusPlaced():
            body = ["placed", frame.lat_lon_deg, frame.separation_m, frame.road]
        case SlotSeen():
            discs = [
                [d.members, d.speed_share, d.human_driven, d.pairs, d.vehicles] for d in frame.discs
            ]
            body = ["slot", frame.slot, discs]
        case ChildFailed():
            body = ["failed", frame.reason]
    packed: bytes = msgpack.packb(body)
    return LENGTH.pack(len(packed)) + packed


def unpack(packed: bytes) -> Frame:
    """The frame of a body, without its length."""
    kind, *body = msgpack.unpackb(packed, use_list=False)
    if kind == "placed":
        return RsusPlaced(*body)
    if kind == "slot":
        slot, discs = body
        return SlotSeen(slot, tuple(DiscSeen(*disc) for disc in discs))
    return ChildFailed(*body)
