"""Network-level attributes of a PLVN and the category that follows from them."""

from typing import Annotated

from pydantic import Field

from twintier.protocol.ids import InmfName
from twintier.protocol.messages.base import (
    Category,
    Count,
    Digest,
    Hour,
    Latitude,
    Longitude,
    Message,
    Name,
    NonNegative,
    Text,
    Value,
    Version,
)


class AttributesReported(Message):
    """Attributes over a window, evenly spaced in simulated time; unavailable ones are null."""

    sim_time_s: NonNegative
    n_samples: Count
    hour: Hour | None
    city: Name | None
    road: Name | None
    lat_deg: Latitude | None
    lon_deg: Longitude | None
    vehicle_number: NonNegative | None
    workload_objects: NonNegative | None
    bandwidth_hz: NonNegative | None
    category: Category
    """Key of all known discrete attributes, with hysteresis applied by the twin."""


class MetaModelMatch(Value):
    """The least-general available meta model for an INMF, and why this one."""

    inmf: InmfName
    category: Category
    version: Version
    model: Digest
    candidates: Annotated[tuple[Category, ...], Field(max_length=64)]
    """Every available category that contains the PLVN, most specific first."""
    reason: Text


class CategoryAssigned(Message):
    """The cloud twin's answer to a category: what to fetch for each requested INMF."""

    category: Category
    known: bool
    """Whether the category was registered before this PLVN showed it."""
    category_version: Version
    matches: Annotated[tuple[MetaModelMatch, ...], Field(max_length=16)]
    """Empty for an INMF that has no meta model yet."""
