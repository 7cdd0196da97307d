"""Telemetry: consecutive slots of the INMFs that share them, collected into messages. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from twintier.inmf.contract import Inmf, Row
from twintier.inmf.traffic import Traffic
from twintier.plvn_agent.slots import InmfSlot
from twintier.plvn_agent.uploads import columns_of
from twintier.protocol.columns import ColumnsError, pack
from twintier.protocol.ids import InmfId
from twintier.protocol.messages import InmfSlots, TelemetryReported, VehicleState


class Report(NamedTuple):
    """A message, with the time of its last slot."""

    message: TelemetryReported
    sim_time_s: float


@dataclass(slots=True)
class TelemetryWindow:
    """Slots of one length until they fill a message; each INMF in it has a row of every slot."""

    inmfs: dict[InmfId, Inmf]
    size: int
    slot_first: int = 0
    rows: dict[InmfId, list[Row]] = field(default_factory=dict)
    traffic: Traffic | None = None
    """Of the newest slot."""
    unfit: int = 0
    """Windows of INMFs whose columns were not what the INMF says."""

    def add(self, slot: int, traffic: Traffic, rows: Mapping[InmfId, Row]) -> list[Report]:
        """Take in a slot; returns what is full, or ends because another slot follows."""
        reports: list[Report] = []
        if self.rows and (slot != self.next_slot or rows.keys() != self.rows.keys()):
            reports += self.flush()
        if not self.rows:
            self.slot_first = slot
        for inmf, row in rows.items():
            self.rows.setdefault(inmf, []).append(row)
        self.traffic = traffic
        if self.next_slot - self.slot_first >= self.size:
            reports += self.flush()
        return reports

    @property
    def next_slot(self) -> int:
        """The slot that may follow."""
        return self.slot_first + max((len(rows) for rows in self.rows.values()), default=0)

    def flush(self) -> list[Report]:
        """What was collected; nothing if there is no slot."""
        rows, self.rows, seen = self.rows, {}, self.traffic
        if not rows or seen is None:
            return []
        measured = []
        for inmf, collected in rows.items():
            try:
                measured.append(self._slots(inmf, collected))
            except ColumnsError:  # costs this INMF this window; the others go up
                self.unfit += 1
        if not measured:
            return []
        message = TelemetryReported(
            slot_first=self.slot_first,
            hour=seen.hour,
            vehicle_number=seen.vehicle_number,
            mean_speed_share=seen.mean_speed_share,
            vehicles=_vehicles(seen),
            measured=tuple(measured),
        )
        return [Report(message, max(seen.sim_time_s, 0.0))]

    def _slots(self, name: InmfId, rows: list[Row]) -> InmfSlots:
        inmf = self.inmfs[name]
        slots = pack(columns_of(rows), inmf.measured)
        return InmfSlots(inmf=name, schema_id=inmf.schema_id, slots=slots)


class Telemetry:
    """All INMFs of one PLVN: those with slots of one length share messages."""

    def __init__(self, inmfs: Mapping[InmfId, Inmf], size: int | None = None) -> None:
        """Begin empty.

        Args:
            inmfs: that are measured.
            size: slots of a message; as each INMF says if it is None.
        """
        self._group_of = {
            name: (inmf.spec.slot_s, size or inmf.spec.windows.telemetry)
            for name, inmf in inmfs.items()
        }
        self._windows = {
            group: TelemetryWindow(dict(inmfs), group[1]) for group in self._group_of.values()
        }

    def add(self, traffic: Traffic, measured: Mapping[InmfId, InmfSlot]) -> list[Report]:
        """Take in the INMFs that were measured in a slot; returns what is full."""
        reports: list[Report] = []
        for group, window in self._windows.items():
            slots = {name: each for name, each in measured.items() if self._group_of[name] == group}
            if slots:
                slot = next(iter(slots.values())).slot
                reports += window.add(slot, traffic, {n: each.row for n, each in slots.items()})
        return reports

    def flush(self) -> list[Report]:
        """What was collected and fills no message yet."""
        return [report for window in self._windows.values() for report in window.flush()]

    def take_unfit(self) -> int:
        """Windows of INMFs that could not go up, since somebody last looked."""
        unfit = sum(window.unfit for window in self._windows.values())
        for window in self._windows.values():
            window.unfit = 0
        return unfit


def _vehicles(seen: Traffic) -> tuple[VehicleState, ...]:
    return tuple(
        VehicleState(
            vehicle=each.vehicle,
            lat_deg=each.lat_deg,
            lon_deg=each.lon_deg,
            speed_mps=each.speed_mps,
        )
        for each in seen.vehicles
    )
