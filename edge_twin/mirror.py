"""What the PLVN uploaded, bounded, in slot order: the twin's copy of its physical network."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from twintier.inmf.perception.live import PAIRS
from twintier.inmf.trajectory import Trace, Trajectories
from twintier.protocol.ids import PlvnId
from twintier.protocol.messages import TelemetryReported, TrajectoriesReported
from twintier.protocol.tensors import Tensors

Array = npt.NDArray[np.float64]
TRACE_FIELDS = ("bandwidth_hz", "objects", "distance_m", "present")
TRAJECTORY_FIELDS = (*TRACE_FIELDS, "modes_before", "modes", "reward_j")


class IncompleteSlotsError(ValueError):
    """An upload lacks an array, or its arrays have different numbers of slots."""


@dataclass(frozen=True, slots=True)
class KeptTrajectories:
    """Trajectories that a twin has taken, so that a restarted edge server has them still."""

    plvn: PlvnId
    message: TrajectoriesReported


def columns(slots: Tensors, fields: tuple[str, ...]) -> dict[str, Array]:
    """The named arrays of an upload, float64, checked against one another.

    Raises:
        IncompleteSlotsError: if one is missing, or shapes disagree.
    """
    arrays = {name: np.asarray(array, np.float64) for name, array in slots.unpack().items()}
    missing = [name for name in fields if name not in arrays]
    if missing:
        raise IncompleteSlotsError(f"slots lack {missing}; an upload needs {list(fields)}")
    shape = arrays["objects"].shape
    if len(shape) != 2:
        raise IncompleteSlotsError(f"objects of shape {shape} must be (slots, pairs)")
    if shape[0] == 0 or shape[1] != PAIRS:
        raise IncompleteSlotsError(
            f"objects of shape {shape} hold no slot, or not {PAIRS} pairs; send ({PAIRS} columns)"
        )
    for name in fields:
        expected = shape[:1] if name in {"bandwidth_hz", "reward_j"} else shape
        if arrays[name].shape != expected:
            raise IncompleteSlotsError(f"{name} {arrays[name].shape} must be {expected}")
    return {name: arrays[name] for name in fields}


@dataclass(slots=True)
class SlotLog:
    """Rows of arrays by slot, the newest `capacity` of them."""

    fields: tuple[str, ...]
    capacity: int
    chunks: deque[tuple[int, dict[str, Array]]] = field(default_factory=deque)
    """(first slot, arrays) in order of arrival."""
    size: int = 0

    @property
    def newest_slot(self) -> int:
        """Where the newest chunk began; 0 before any."""
        return self.chunks[-1][0] if self.chunks else 0

    @property
    def next_slot(self) -> int:
        """The slot after the newest chunk; 0 before any."""
        return self.newest_slot + self._length(self.chunks[-1]) if self.chunks else 0

    def add(self, slot_first: int, arrays: dict[str, Array]) -> None:
        """Append consecutive slots and forget the oldest beyond capacity."""
        self.chunks.append((slot_first, arrays))
        self.size += self._length(self.chunks[-1])
        while self.size - self._length(self.chunks[0]) >= self.capacity:
            self.size -= self._length(self.chunks.popleft())

    def since(self, slot: int) -> "SlotLog":
        """The chunks that begin at or after a slot."""
        kept = SlotLog(self.fields, self.capacity)
        for first, arrays in self.chunks:
            if first >= slot:
                kept.add(first, arrays)
        return kept

    def before(self, slot: int) -> "SlotLog":
        """The chunks that begin before a slot."""
        kept = SlotLog(self.fields, self.capacity)
        for first, arrays in self.chunks:
            if first < slot:
                kept.add(first, arrays)
        return kept

    def newest(self, slots: int) -> dict[str, Array]:
        """The newest rows by field, at most `slots`; empty arrays where nothing came yet."""
        if not self.chunks:
            return {}
        joined = {
            name: np.concatenate([arrays[name] for _, arrays in self.chunks])
            for name in self.fields
        }
        return {name: array[-slots:] for name, array in joined.items()}

    def sides(self, slot: int, rows: int) -> tuple[dict[str, Array], dict[str, Array]]:
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

    def _length(self, chunk: tuple[int, dict[str, Array]]) -> int:
        return int(chunk[1][self.fields[0]].shape[0])


def trace_of(rows: dict[str, Array]) -> Trace:
    """Rows of consecutive slots as a trace of one episode."""
    return Trace(
        rows["bandwidth_hz"][None],
        rows["objects"][None],
        rows["distance_m"][None],
        rows["present"][None] > 0.5,
    )


def trajectories_of(rows: dict[str, Array]) -> Trajectories:
    """Rows of consecutive slots as trajectories of one episode."""
    return Trajectories(
        trace_of(rows),
        rows["modes_before"][None] > 0.5,
        rows["modes"][None] > 0.5,
        rows["reward_j"][None],
    )


@dataclass(slots=True)
class Mirror:
    """Telemetry and trajectories of one PLVN."""

    telemetry: SlotLog
    trajectories: SlotLog
    latest: TelemetryReported | None = None
    """The newest telemetry, for hour and vehicles."""
    vehicle_numbers: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=64))
    """(slot, vehicles) of recent telemetry."""

    @classmethod
    def of(cls, telemetry_slots: int, trajectory_slots: int) -> "Mirror":
        """An empty mirror with these bounds."""
        return cls(
            SlotLog(TRACE_FIELDS, telemetry_slots), SlotLog(TRAJECTORY_FIELDS, trajectory_slots)
        )

    def add_telemetry(self, message: TelemetryReported) -> None:
        """Take in telemetry.

        Raises:
            IncompleteSlotsError: if its arrays do not fit.
        """
        self.telemetry.add(message.slot_first, columns(message.slots, TRACE_FIELDS))
        if message.vehicle_number is not None:
            self.vehicle_numbers.append((message.slot_first, message.vehicle_number))
        if self.latest is None or message.slot_first >= self.latest.slot_first:
            self.latest = message

    def add_trajectories(self, message: TrajectoriesReported) -> dict[str, Array]:
        """Take in trajectories; returns their rows.

        Raises:
            IncompleteSlotsError: if their arrays do not fit.
        """
        rows = columns(message.slots, TRAJECTORY_FIELDS)
        self.trajectories.add(message.slot_first, rows)
        return rows
