"""Slots collected into the messages that upload them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from twintier.inmf.trajectory import Array, Mask
from twintier.plvn_agent.source import SlotMeasured, SlotObserved
from twintier.protocol.messages import PerformanceReported, TelemetryReported, TrajectoriesReported
from twintier.protocol.messages.telemetry import PolicyKind
from twintier.protocol.tensors import Tensors


def exogenous_of(slots: Sequence[SlotObserved]) -> dict[str, Array]:
    """What the slots looked like: (n,) bandwidth_hz, and (n, pairs) of the rest."""
    return {
        "bandwidth_hz": np.array([slot.bandwidth_hz for slot in slots], np.float64),
        "objects": np.stack([slot.objects for slot in slots]).astype(np.float64),
        "distance_m": np.stack([slot.distance_m for slot in slots]).astype(np.float64),
        "present": np.stack([slot.present for slot in slots]).astype(np.float64),
    }


def telemetry_of(slots: Sequence[SlotObserved]) -> TelemetryReported:
    """Consecutive slots as telemetry; vehicles are those of the last one."""
    last = slots[-1]
    return TelemetryReported(
        slot_first=slots[0].slot,
        hour=last.hour,
        vehicle_number=last.vehicle_number,
        mean_speed_share=last.mean_speed_share,
        vehicles=last.vehicles,
        slots=Tensors.pack(exogenous_of(slots)),
    )


@dataclass(frozen=True, slots=True)
class DecidedSlot:
    """A slot with what was decided and measured in it."""

    observed: SlotObserved
    modes_before: Mask
    measured: SlotMeasured


@dataclass(slots=True)
class Batch:
    """Decided slots under one policy, until they fill a message."""

    policy: PolicyKind = "baseline"
    model_version: int = 0
    number: int = 0
    """Grows with each batch of the agent's boot."""
    slots: list[DecidedSlot] = field(default_factory=list)

    def trajectories(self) -> TrajectoriesReported:
        """The batch as a message; it must hold a slot."""
        measured = [slot.measured for slot in self.slots]
        arrays = exogenous_of([slot.observed for slot in self.slots])
        arrays["modes_before"] = np.stack([s.modes_before for s in self.slots]).astype(np.float64)
        arrays["modes"] = np.stack([m.modes for m in measured]).astype(np.float64)
        arrays["reward_j"] = np.array([m.reward_j for m in measured], np.float64)
        return TrajectoriesReported(
            policy=self.policy,
            model_version=self.model_version,
            batch=self.number,
            slot_first=self.slots[0].observed.slot,
            slots=Tensors.pack(arrays),
        )

    def following(self, policy: PolicyKind, model_version: int) -> "Batch":
        """An empty batch after this one."""
        return Batch(policy, model_version, self.number + 1)


@dataclass(slots=True)
class Summary:
    """Performance of consecutive slots under one policy."""

    slot_first: int = 0
    slots: int = 0
    reward_sum_j: float = 0.0
    infeasible_slots: int = 0
    mode_changes: int = 0

    def add(self, slot: DecidedSlot) -> None:
        """Count a slot."""
        if not self.slots:
            self.slot_first = slot.observed.slot
        self.slots += 1
        self.reward_sum_j += slot.measured.reward_j
        self.infeasible_slots += slot.measured.infeasible
        self.mode_changes += int(np.sum(slot.modes_before != slot.measured.modes))

    def report(self, policy: PolicyKind, model_version: int) -> PerformanceReported:
        """The summary as a message."""
        return PerformanceReported(
            policy=policy,
            model_version=model_version,
            slot_first=self.slot_first,
            slots=self.slots,
            reward_sum_j=self.reward_sum_j,
            infeasible_slots=self.infeasible_slots,
            mode_changes=self.mode_changes,
        )
