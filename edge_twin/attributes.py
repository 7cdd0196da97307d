"""Network-level attributes of a PLVN, and its category key with hysteresis. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import median

from twintier.inmf.contract import Attributes
from twintier.protocol.ids import CategoryKey, InmfId, category_key
from twintier.protocol.messages import AttributesReported, InmfAttributes, Site

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


def extract(  # one argument an attribute
    parts: Mapping[InmfId, Attributes],
    site: Site,
    time_of_day: TimeOfDay,
    *,
    n_samples: int,
    sim_time_s: float,
    hour: float | None,
    vehicle_numbers: Sequence[int],
) -> AttributesReported:
    """Attributes over the newest slots; what nothing was seen of is null.

    Vehicle number is the median of reports; workload and resources are what each INMF says of its
    own slots.
    """
    return AttributesReported(
        sim_time_s=sim_time_s,
        n_samples=n_samples,
        hour=hour,
        city=site.city,
        road=site.road,
        lat_deg=site.lat_deg,
        lon_deg=site.lon_deg,
        vehicle_number=float(median(vehicle_numbers)) if vehicle_numbers else None,
        inmfs=tuple(
            InmfAttributes(
                inmf=name,
                workload=_amount(own.workload),
                workload_unit=own.workload_unit,
                resources=_amount(own.resources),
                resources_unit=own.resources_unit,
            )
            for name, own in parts.items()
        ),
        category=category_of(site, time_of_day),
    )


def _amount(value: float | None) -> float | None:
    """An amount as the wire takes it; what is none is not known."""
    return value if value is not None and isfinite(value) and value >= 0.0 else None
