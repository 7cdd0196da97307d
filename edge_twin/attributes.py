"""Network-level attributes of a PLVN, and its category key with hysteresis. Pure."""

from dataclasses import dataclass
from statistics import median

import numpy as np

from twintier.edge_twin.mirror import Mirror
from twintier.protocol.ids import CategoryKey, category_key
from twintier.protocol.messages import AttributesReported, Site

DAY_BEGINS_H = 6.0
DAY_ENDS_H = 22.0
HYSTERESIS_H = 0.05
"""The hour must be this far past an edge before the time of day changes (three minutes)."""


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """Day or night, sticky around the edges; None before the hour is known."""

    value: str | None = None

    def at(self, hour: float | None) -> "TimeOfDay":
        """The time of day after seeing an hour."""
        if hour is None:
            return self
        value = "day" if DAY_BEGINS_H <= hour < DAY_ENDS_H else "night"
        if self.value is None or value == self.value:
            return TimeOfDay(value)
        distance = min(_apart(hour, DAY_BEGINS_H), _apart(hour, DAY_ENDS_H))
        return TimeOfDay(value) if distance >= HYSTERESIS_H else self


def _apart(hour: float, edge: float) -> float:
    difference = abs(hour - edge) % 24
    return min(difference, 24 - difference)


def category_of(site: Site, time_of_day: TimeOfDay) -> CategoryKey:
    """Key of the known discrete attributes: city, road and, once known, time of day."""
    pairs = {"city": _slug(site.city), "road": _slug(site.road)}
    if time_of_day.value is not None:
        pairs["tod"] = time_of_day.value
    return category_key(pairs)


def _slug(value: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in value.lower())


def extract(
    mirror: Mirror, site: Site, time_of_day: TimeOfDay, *, window_slots: int, sim_time_s: float
) -> AttributesReported:
    """Attributes over the newest slots; what nothing was seen of is null.

    Vehicle number is the median of reports, workload the mean of present pairs' objects,
    bandwidth the mean over slots.
    """
    rows = mirror.telemetry.newest(window_slots)
    samples = int(rows["bandwidth_hz"].size) if rows else 0
    workload = None
    if samples and (present := rows["present"] > 0.5).any():
        workload = float(np.mean(rows["objects"][present]))
    newest = mirror.latest
    recent = [
        number
        for slot, number in mirror.vehicle_numbers
        if newest is not None and slot > newest.slot_first - window_slots
    ]
    return AttributesReported(
        sim_time_s=sim_time_s,
        n_samples=samples,
        hour=None if newest is None else newest.hour,
        city=site.city,
        road=site.road,
        lat_deg=site.lat_deg,
        lon_deg=site.lon_deg,
        vehicle_number=float(median(recent)) if recent else None,
        workload_objects=workload,
        bandwidth_hz=float(np.mean(rows["bandwidth_hz"])) if samples else None,
        category=category_of(site, time_of_day),
    )
