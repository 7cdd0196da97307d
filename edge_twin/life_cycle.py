"""Where an individual model may stand on its way, and what its making has used. Pure values."""

from dataclasses import dataclass

from twintier.edge_twin.cusum import Alarm
from twintier.edge_twin.jobs import POLICY, AdaptationResult, Start
from twintier.inmf.trajectory import Array
from twintier.learning.policy import Vector
from twintier.protocol.ids import InmfId, ModelId
from twintier.protocol.messages import Cause, IndividualModelReported, ModelDispatched
from twintier.protocol.messages.model import Purpose
from twintier.protocol.tensors import Tensors, model_id


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A meta model as the edge server has it."""

    category: str
    version: int
    parameters: Vector
    log_step_sizes: Vector


@dataclass(frozen=True, slots=True)
class Waiting:
    """For a meta model, or for true slots since `since_slot`; what acts goes on acting."""

    since_slot: int
    slots_needed: int


@dataclass(frozen=True, slots=True)
class Training:
    """A job makes the model of exchange number `exchange`; 0 is before the first."""

    attempt: int
    exchange: int
    since_slot: int


@dataclass(frozen=True, slots=True)
class Exchanging:
    """A candidate acts greedily in the PLVN until enough true slots are back."""

    attempt: int
    exchange: int
    since_slot: int
    version: int
    slots: int = 0


@dataclass(frozen=True, slots=True)
class Probation:
    """The final model acts; its reward is held against the baseline's on the same states."""

    blocks: int = 0
    reward_j: float = 0.0
    baseline_j: float = 0.0
    slots: int = 0

    def add(self, reward_j: Array, baseline_j: float) -> "Probation":
        """One more block of rewards (slots,), against the baseline's mean on its states."""
        slots = int(reward_j.size)
        return Probation(
            self.blocks + 1,
            self.reward_j + float(reward_j.sum()),
            self.baseline_j + slots * baseline_j,
            self.slots + slots,
        )


@dataclass(frozen=True, slots=True)
class InForce:
    """Probation passed; the watch looks for change."""


@dataclass(frozen=True, slots=True)
class Testing:
    """The watch has alarmed; a job tells a change from a biased calibration."""

    attempt: int
    alarm: Alarm
    then: Probation | InForce
    """Where it goes on if nothing has changed."""


State = Waiting | Training | Exchanging | Probation | InForce | Testing


@dataclass(slots=True)
class Tries:
    """What one adaptation has used so far, over all its exchanges."""

    steps: int = 0
    true_slots: int = 0
    synthetic_slots: int = 0
    origin: Start | None = None
    """Where the first exchange started."""
    cause: Cause | None = None

    def add(self, result: AdaptationResult) -> None:
        """Count an exchange."""
        self.origin = result.origin
        self.steps += result.updates
        self.true_slots += result.true_slots
        self.synthetic_slots += result.synthetic_slots


@dataclass(frozen=True, slots=True)
class Making:
    """What a report of a new individual model tells beside its job's result."""

    inmf: InmfId
    version: int
    model: ModelId
    meta_model: CachedModel
    exchanges: int
    tries: Tries
    replaced: str
    sim_time_s: float

    def report(self, result: AdaptationResult) -> IndividualModelReported:
        """The report of a model that goes on probation."""
        return IndividualModelReported(
            state="probation",
            origin=result.origin.kind,
            reward_before=result.reward_before,
            reward_after=result.reward_after,
            baseline_reward=result.baseline_reward,
            bound_reward=result.bound_reward,
            inmf=self.inmf,
            version=self.version,
            model=self.model,
            origin_category=self.meta_model.category,
            origin_version=self.meta_model.version,
            exchanges=self.exchanges,
            adaptation_steps=self.tries.steps,
            true_slots=self.tries.true_slots,
            synthetic_slots=self.tries.synthetic_slots,
            sim_time_s=self.sim_time_s,
            replaced=self.replaced,
            cause=() if self.tries.cause is None else (self.tries.cause,),
        )


def degradation(alarm: Alarm) -> Cause:
    """The cause of a retraining that a confirmed alarm asks for."""
    return Cause(
        trigger="degradation",
        statistic="cusum_residual",
        value=alarm.value,
        threshold=alarm.threshold,
        reference_n=alarm.reference_n,
        sim_time_s=alarm.sim_time_s,
    )


def category_change(before: str, after: str, sim_time_s: float) -> Cause:
    """The cause of a retraining that another category asks for."""
    return Cause(
        trigger="category_change",
        statistic="category_level",
        value=float(after.count("=")),
        threshold=float(before.count("=")),
        reference_n=0,
        sim_time_s=sim_time_s,
    )


def dispatch_of(
    inmf: InmfId, version: int, purpose: Purpose, parameters: Vector, *, trajectory_slots: int
) -> ModelDispatched:
    """The message that brings a model to its PLVN."""
    return ModelDispatched(
        inmf=inmf,
        version=version,
        purpose=purpose,
        model=model_id(POLICY.schema_id, parameters),
        schema_id=POLICY.schema_id,
        parameters=Tensors.pack({"parameters": parameters}),
        trajectory_slots=trajectory_slots,
    )
