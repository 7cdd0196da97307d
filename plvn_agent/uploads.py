"""Slots collected into the messages that upload them. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from twintier.inmf.contract import REWARD, SAMPLE, Inmf, Row
from twintier.inmf.schema import trajectory_fields
from twintier.inmf.spec import Array
from twintier.plvn_agent.policy import Finished
from twintier.protocol.columns import pack
from twintier.protocol.messages import PerformanceReported, TrajectoriesReported
from twintier.protocol.messages.telemetry import OutcomeSum, PolicyKind


def columns_of(rows: Sequence[Row]) -> dict[str, Array]:
    """Rows of (*shape) by field as columns (slots, *shape); there must be one."""
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


@dataclass(slots=True)
class Batch:
    """Consecutive slots under one policy, until they fill a message."""

    inmf: Inmf
    policy: PolicyKind = "baseline"
    model_version: int = 0
    number: int = 0
    """Grows with each batch of the agent's boot."""
    slot_first: int = 0
    rows: list[Row] = field(default_factory=list)

    def fits(self, slot: int, finished: Finished) -> bool:
        """Whether a slot may follow those that are here."""
        if not self.rows:
            return True
        alike = (finished.policy, finished.version) == (self.policy, self.model_version)
        sampled = (SAMPLE in finished.row) == self._sampled
        return alike and sampled and slot == self.slot_first + len(self.rows)

    def add(self, slot: int, finished: Finished) -> None:
        """Take in a slot that fits."""
        if not self.rows:
            self.slot_first = slot
            self.policy, self.model_version = finished.policy, finished.version
        self.rows.append(finished.row)

    def trajectories(self) -> TrajectoriesReported:
        """The batch as a message; it must hold a slot.

        Raises:
            ColumnsError: if the columns are not what the INMF says.
        """
        fields = trajectory_fields(self.inmf, sampled=self._sampled)
        return TrajectoriesReported(
            policy=self.policy,
            model_version=self.model_version,
            batch=self.number,
            slot_first=self.slot_first,
            schema_id=self.inmf.schema_id,
            slots=pack(columns_of(self.rows), fields),
        )

    def following(self) -> "Batch":
        """An empty batch after this one."""
        return Batch(self.inmf, number=self.number + 1)

    @property
    def _sampled(self) -> bool:
        return SAMPLE in self.rows[0]


@dataclass(slots=True)
class Summary:
    """Performance of slots under one policy."""

    inmf: Inmf
    policy: PolicyKind = "baseline"
    model_version: int = 0
    slot_first: int = 0
    slots: int = 0
    reward_sum: float = 0.0
    outcome_sums: dict[str, float] = field(default_factory=dict)

    def fits(self, finished: Finished) -> bool:
        """Whether a slot was decided as those that are here."""
        alike = (finished.policy, finished.version) == (self.policy, self.model_version)
        return alike or not self.slots

    def add(self, slot: int, finished: Finished) -> None:
        """Count a slot; nulls add nothing."""
        if not self.slots:
            self.slot_first = slot
            self.policy, self.model_version = finished.policy, finished.version
        self.slots += 1
        self.reward_sum += float(finished.row[REWARD])
        for name in (each.name for each in self.inmf.outcome if not each.shape):
            value = float(np.nan_to_num(finished.row[name]))
            self.outcome_sums[name] = self.outcome_sums.get(name, 0.0) + value

    def report(self) -> PerformanceReported:
        """The summary as a message; it must hold a slot."""
        sums = tuple(OutcomeSum(name=n, total=total) for n, total in self.outcome_sums.items())
        return PerformanceReported(
            policy=self.policy,
            model_version=self.model_version,
            slot_first=self.slot_first,
            slots=self.slots,
            reward_sum=self.reward_sum,
            outcomes=sums,
        )
