"""A core small enough to see every effect in a test: it echoes registrations and counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.support.names import COOP_PERCEPTION
from twintier.protocol.messages import (
    AgentStatusReported,
    CloudStatusReported,
    EdgeStatusReported,
    MessageReturned,
    ModelApplied,
    ModelRequested,
    OutcomeSum,
    PerformanceReported,
    UploadsAcknowledged,
)
from twintier.protocol.messages.base import Message
from twintier.runtime.core import Input, Received, Role
from twintier.runtime.effects import ConfirmUploads, Effect, Publish

Behaviour = Callable[[Input, float], Sequence[Effect]]


def nothing(_taken: Input, _now: float) -> Sequence[Effect]:
    return []


@dataclass(slots=True)
class ToyCore:
    """Records its inputs and does what its behaviour says."""

    role: Role
    id: str
    behaviour: Behaviour = nothing
    taken: list[Input] = field(default_factory=list)

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        self.taken.append(event)
        effects = list(self.behaviour(event, now))
        if isinstance(event, Received) and isinstance(
            event.message, UploadsAcknowledged | MessageReturned
        ):
            effects.append(ConfirmUploads(event.message))
        return effects

    def goodbye(self) -> Sequence[Effect]:
        return [Publish(status(self.role, "offline"))]


def status(role: Role, state: str) -> Message:
    fields: dict[str, object] = {"state": state, "lease_s": 15.0}
    if role == "plvn":
        return AgentStatusReported.model_validate(fields)
    if role == "edge":
        place = {"lat_deg": 1.0, "lon_deg": 2.0, "capacity": 3, "twins": 0}
        return EdgeStatusReported.model_validate(fields | place)
    plan = {"phase": "online", "iterations": 0, "iterations_planned": 0}
    return CloudStatusReported.model_validate(fields | plan)


def performance(slot_first: int) -> PerformanceReported:
    return PerformanceReported(
        policy="baseline",
        model_version=0,
        slot_first=slot_first,
        slots=10,
        reward_sum=1.5,
        outcomes=(
            OutcomeSum(name="infeasible", total=0.0),
            OutcomeSum(name="mode_changes", total=1.0),
        ),
    )


def applied(version: int) -> ModelApplied:
    return ModelApplied(inmf=COOP_PERCEPTION, version=version, model="0" * 64, slot_first=0)


MODEL_REQUESTED = ModelRequested(inmf=COOP_PERCEPTION)
