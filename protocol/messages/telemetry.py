"""What a PLVN uploads: telemetry, trajectories for learning, performance.

Which arrays slots hold is stated by the INMF, whose fields the schema id names. A nullable field
that is absent is null in all slots; one that is null in some has zeros there and, beside it, an
array `NAME/null` with 1 where it is null.
"""

from typing import Annotated, Literal

from pydantic import Field

from twintier.protocol.ids import InmfName
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


class InmfSlots(Value):
    """Consecutive slots as one INMF measures them before it decides.

    `slots` holds the INMF's measured fields, (n, ...) each, float32.
    """

    inmf: InmfName
    schema_id: Name
    slots: Tensors


class TelemetryReported(Message):
    """Exogenous state of consecutive slots for each INMF, and the vehicles of the last one."""

    slot_first: Count
    hour: Annotated[float, Field(ge=0, lt=24)] | None
    vehicle_number: Count | None
    mean_speed_share: NonNegative | None
    """Mean of speed over speed limit."""
    vehicles: Annotated[tuple[VehicleState, ...], Field(max_length=64)]
    measured: Annotated[tuple[InmfSlots, ...], Field(max_length=16)]


class TrajectoriesReported(Message):
    """State, action and reward of consecutive slots under one policy.

    `slots` holds the INMF's measured, remembered and outcome fields, (n, ...) each, `action`
    (n, width) as carried out and `reward` (n,); where actions are sampled, also `sample` (n, width)
    and `log_prob` (n,); float32. Counts once per (PLVN, INMF, model version, batch).
    """

    policy: PolicyKind
    model_version: Version
    batch: Count
    slot_first: Count
    schema_id: Name
    slots: Tensors


class OutcomeSum(Value):
    """Sum of one outcome over the slots of a summary."""

    name: Name
    total: Real


class PerformanceReported(Message):
    """Summary of a block of slots under one policy."""

    policy: PolicyKind
    model_version: Version
    slot_first: Count
    slots: Annotated[int, Field(ge=1, le=10_000)]
    reward_sum: Real
    """In the INMF's unit of reward."""
    outcomes: Annotated[tuple[OutcomeSum, ...], Field(max_length=32)]
    """Of the INMF's scalar outcome fields."""
