"""Fig. 5(b): individual models go to the PLVN, are applied, watched and replaced."""

from typing import Annotated, Literal

from pydantic import Field

from twintier.protocol.ids import InmfName
from twintier.protocol.messages.base import (
    Category,
    Count,
    Digest,
    Message,
    Name,
    NonNegative,
    Real,
    Text,
    Value,
    Version,
)
from twintier.protocol.tensors import Tensors

Purpose = Literal["exchange", "final", "rollback"]


class ModelDispatched(Message):
    """An individual model for the PLVN to act with; the newest version counts.

    `parameters` holds parameters (n,), float32.
    """

    inmf: InmfName
    version: Version
    purpose: Purpose
    model: Digest
    schema_id: Name
    parameters: Tensors
    trajectory_slots: Annotated[int, Field(ge=1, le=10_000)]
    """Slots of a batch of trajectories from now on."""
    sampled: bool
    """Whether actions are sampled and their log-probabilities uploaded: the paper's pure loop."""
    program: Annotated[bytes, Field(max_length=4 * 1024 * 1024)]
    """ONNX graph of a network that is not the built-in one, with the parameters as its input."""


class BaselineOrdered(Message):
    """No model may act: the PLVN falls back to the INMF's classical baseline."""

    inmf: InmfName
    version: Version
    reason: Text


class ModelApplied(Message):
    """The PLVN acts by this version from `slot_first` on."""

    inmf: InmfName
    version: Version
    model: Digest
    slot_first: Count


class ModelRefused(Message):
    """The PLVN cannot act by this version and keeps what it has."""

    inmf: InmfName
    version: Version
    code: Literal["wrong_digest", "wrong_schema", "not_finite", "unknown_inmf", "no_engine"]
    reason: Text


class ModelRequested(Message):
    """A PLVN that lost its model, for example by a restart, asks for it again."""

    inmf: InmfName


class Cause(Value):
    """Why a retraining was triggered."""

    trigger: Literal["degradation", "category_change", "meta_model_update"]
    statistic: Name
    value: Real
    threshold: Real
    reference_n: Count
    sim_time_s: NonNegative


class RetrainTriggered(Message):
    """The edge twin retrains an individual model."""

    inmf: InmfName
    cause: Cause
    from_model: Name


class IndividualModelReported(Message):
    """The state of a PLVN's individual model; its parameters never leave edge and PLVN."""

    inmf: InmfName
    version: Version
    model: Digest
    state: Literal["probation", "in_force", "deleted", "rolled_back"]
    origin: Literal["meta_model", "present_model"]
    origin_category: Category
    origin_version: Version
    adaptation_steps: Count
    exchanges: Count
    evidence: Literal["emulated", "measured"]
    """What the rewards are: greedy, over common emulated traces; or measured in the PLVN."""
    reward_before: Real | None
    reward_after: Real | None
    baseline_reward: Real | None
    bound_reward: Real | None
    """Rewards: mean of a slot in the INMF's unit; null where nothing says."""
    true_slots: Count
    synthetic_slots: Count
    sim_time_s: NonNegative
    replaced: Annotated[str, Field(max_length=64)]
    """Id of the model that a retraining replaced; empty if it is the first."""
    cause: Annotated[tuple[Cause, ...], Field(max_length=1)]
    """What triggered the retraining; empty for the first model."""
