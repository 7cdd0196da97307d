"""What a PLVN uploaded of one INMF, bounded, in slot order: the twin's copy of its network."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from twintier.inmf.contract import ACTION, LOG_PROB, REWARD, SAMPLE, Columns, Inmf
from twintier.inmf.spec import Array, Field
from twintier.protocol.columns import ColumnsError, unpack
from twintier.protocol.ids import InmfId, PlvnId
from twintier.protocol.messages import TelemetryReported, TrajectoriesReported

RULE_SLOTS = 600
"""Slots under the baseline whose rewards stand for it where there is no emulator."""


@dataclass(frozen=True, slots=True)
class KeptTrajectories:
    """Trajectories that a twin has taken, so that a restarted edge server has them still."""

    plvn: PlvnId
    inmf: InmfId
    message: TrajectoriesReported


def trajectory_fields(inmf: Inmf) -> tuple[Field, ...]:
    """Columns of an upload of true slots, with those of sampled actions where there are any."""
    width = (inmf.spec.action_dim,)
    return (
        *inmf.measured,
        *inmf.remembered,
        *inmf.outcome,
        Field(ACTION, "1", width),
        Field(REWARD, inmf.spec.reward_unit),
        Field(SAMPLE, "1", width, nullable=True),
        Field(LOG_PROB, "1", nullable=True),
    )


@dataclass(slots=True)
class SlotLog:
    """Rows of columns by slot, the newest `capacity` of them."""

    names: tuple[str, ...]
    capacity: int
    chunks: deque[tuple[int, Columns]] = field(default_factory=deque)
    """(first slot, columns) in order of arrival."""
    size: int = 0

    @property
    def newest_slot(self) -> int:
        """Where the newest chunk began; 0 before any."""
        return self.chunks[-1][0] if self.chunks else 0

    @property
    def next_slot(self) -> int:
        """The slot after the newest chunk; 0 before any."""
        return self.newest_slot + self._length(self.chunks[-1]) if self.chunks else 0

    def clear(self) -> None:
        """Forget everything: slots are counted anew."""
        self.chunks.clear()
        self.size = 0

    def add(self, slot_first: int, columns: Columns) -> None:
        """Append consecutive slots and forget the oldest beyond capacity."""
        self.chunks.append((slot_first, columns))
        self.size += self._length(self.chunks[-1])
        while self.size - self._length(self.chunks[0]) >= self.capacity:
            self.size -= self._length(self.chunks.popleft())

    def since(self, slot: int) -> "SlotLog":
        """The chunks that begin at or after a slot."""
        kept = SlotLog(self.names, self.capacity)
        for first, columns in self.chunks:
            if first >= slot:
                kept.add(first, columns)
        return kept

    def before(self, slot: int) -> "SlotLog":
        """The chunks that begin before a slot."""
        kept = SlotLog(self.names, self.capacity)
        for first, columns in self.chunks:
            if first < slot:
                kept.add(first, columns)
        return kept

    def newest(self, slots: int) -> Columns:
        """The newest rows by field, at most `slots`; nothing where nothing came yet."""
        if not self.chunks:
            return {}
        joined = {
            name: np.concatenate([columns[name] for _, columns in self.chunks])
            for name in self.names
        }
        return {name: array[-slots:] for name, array in joined.items()}

    def sides(self, slot: int, rows: int) -> tuple[Columns, Columns]:
        """At most so many newest rows before and after a slot; halves if one side has none."""
        before, after = self.before(slot).newest(rows), self.since(slot).newest(rows)
        if before and after:
            return before, after
        whole = self.newest(2 * rows)
        half = self.size // 2 if self.size < 2 * rows else rows
        return (
            {name: array[:half] for name, array in whole.items()},
            {name: array[half:] for name, array in whole.items()},
        )

    def _length(self, chunk: tuple[int, Columns]) -> int:
        return int(chunk[1][self.names[0]].shape[0])


def joined(first: Columns, second: Columns) -> Columns:
    """Slots of one after the slots of the other."""
    return {name: np.concatenate([array, second[name]]) for name, array in first.items()}


@dataclass(slots=True)
class Mirror:
    """Telemetry and trajectories of one PLVN and INMF."""

    telemetry: SlotLog
    trajectories: SlotLog
    telemetry_seen: int = 0
    """Slots of telemetry that have ever come."""
    rule_rewards: deque[float] = field(default_factory=lambda: deque(maxlen=RULE_SLOTS))
    """Measured rewards of the newest slots under the baseline."""

    @classmethod
    def of(cls, inmf: Inmf, telemetry_slots: int, trajectory_slots: int) -> "Mirror":
        """An empty mirror with these bounds."""
        return cls(
            SlotLog(tuple(each.name for each in inmf.measured), telemetry_slots),
            SlotLog(tuple(each.name for each in trajectory_fields(inmf)), trajectory_slots),
        )

    @property
    def rule_reward(self) -> float | None:
        """Mean reward that the baseline has lately earned here; None if it never acted."""
        return float(np.mean(self.rule_rewards)) if self.rule_rewards else None

    def add_telemetry(self, inmf: Inmf, slot_first: int, message: TelemetryReported) -> None:
        """Take in the slots of this INMF, if the message has any.

        Raises:
            ColumnsError: if its columns do not fit.
        """
        for part in message.measured:
            if part.inmf == inmf.spec.inmf:
                check_schema(inmf, part.schema_id)
                columns = unpack(part.slots, inmf.measured)
                self.telemetry.add(slot_first, columns)
                self.telemetry_seen += length(columns)

    def add_trajectories(self, inmf: Inmf, message: TrajectoriesReported) -> Columns:
        """Take in trajectories; returns their rows.

        Raises:
            ColumnsError: if their columns do not fit.
        """
        check_schema(inmf, message.schema_id)
        columns = unpack(message.slots, trajectory_fields(inmf))
        self.trajectories.add(message.slot_first, columns)
        if message.policy == "baseline":
            self.rule_rewards.extend(columns[REWARD].tolist())
        return columns


def length(columns: Mapping[str, Array]) -> int:
    """Slots of columns that are not empty."""
    return int(next(iter(columns.values())).shape[0])


def check_schema(inmf: Inmf, schema_id: str) -> None:
    """Check that an upload has the fields of this INMF.

    Raises:
        ColumnsError: if it was made for others.
    """
    if schema_id not in {inmf.schema_id, *inmf.former_schemas}:
        raise ColumnsError(
            f"{inmf.spec.inmf}: slots of schema {schema_id} are not of {inmf.schema_id} that this "
            "twin knows; run both on the same version of the INMF"
        )
