"""What a PLVN uploads: telemetry, trajectories for learning, performance."""

from typing import Annotated, Literal

from pydantic import Field

from twintier.protocol.messages.base import (
    Count,
    Latitude,
    Longitude,
    Message,
    Name,
    NonNegative,
    Real,
    Value,
    Version,
)
from twintier.protocol.tensors import Tensors

PolicyKind = Literal["baseline", "individual_model"]


class VehicleState(Value):
    """One vehicle in one slot; its id is a hash, unavailable numbers are null."""

    vehicle: Name
    lat_deg: Latitude | None
    lon_deg: Longitude | None
    speed_mps: NonNegative | None


class TelemetryReported(Message):
    """Exogenous state of consecutive slots, and the vehicles of the last one.

    `slots` holds bandwidth_hz (n,), objects, distance_m and present (n, pairs), float32.
    """

    slot_first: Count
    hour: Annotated[float, Field(ge=0, lt=24)] | None
    vehicle_number: Count | None
    mean_speed_share: NonNegative | None
    """Mean of speed over speed limit."""
    vehicles: Annotated[tuple[VehicleState, ...], Field(max_length=64)]
    slots: Tensors


class TrajectoriesReported(Message):
    """State, action and reward of consecutive slots under one policy.

    `slots` holds bandwidth_hz (n,), objects, distance_m, present, modes_before, modes (n, pairs)
    and reward_j (n,), float32. Counts once per (PLVN, model version, batch).
    """

    policy: PolicyKind
    model_version: Version
    batch: Count
    slot_first: Count
    slots: Tensors


class PerformanceReported(Message):
    """Summary of a block of slots under one policy."""

    policy: PolicyKind
    model_version: Version
    slot_first: Count
    slots: Annotated[int, Field(ge=1, le=10_000)]
    reward_sum_j: Real
    infeasible_slots: Count
    mode_changes: Count
