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
    Unit,
    Value,
    Version,
)


class InmfAttributes(Value):
    """What one INMF adds to the attributes; unavailable numbers are null."""

    inmf: InmfName
    workload: NonNegative | None
    workload_unit: Unit
    resources: NonNegative | None
    resources_unit: Unit


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
    inmfs: Annotated[tuple[InmfAttributes, ...], Field(max_length=16)]
    """Average workload and average resources, by INMF."""
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
