"""A PLVN joins, is placed on an edge server, and keeps an ownership grant."""

from typing import Annotated, Literal

from pydantic import Field

from twintier.protocol.ids import EdgeName, InmfName, PlvnName
from twintier.protocol.messages.base import (
    Latitude,
    Longitude,
    Message,
    Name,
    NonNegative,
    Signature,
    Text,
    Value,
    VerifyKey,
)
from twintier.protocol.values import Fence

RequestedInmfs = Annotated[tuple[InmfName, ...], Field(min_length=1, max_length=16)]


class Grant(Value):
    """The right of one edge server to manage one PLVN, for a time."""

    plvn: PlvnName
    edge: EdgeName
    fence: Annotated[Fence, Field(ge=1)]
    valid_s: NonNegative
    """Relative, so that a skewed clock ends nothing."""
    edge_key: VerifyKey = ""
    """Checks what the edge server signs."""
    signature: Signature = ""
    """Of the cloud twin, over all the rest; see `protocol.signing`."""


class Site(Value):
    """What a deployment knows of a PLVN without measuring."""

    city: Name
    road: Name
    lat_deg: Latitude
    lon_deg: Longitude


class RegistrationRequested(Message):
    """A PLVN asks to be managed and names the INMFs that it wants."""

    site: Site
    requested_inmfs: RequestedInmfs


class RegistrationGranted(Message):
    """The PLVN is registered and this edge server manages it."""

    grant: Grant
    unknown_inmfs: Annotated[tuple[InmfName, ...], Field(max_length=16)]
    """Those asked for that nobody here knows; the others are managed."""


class RegistrationRefused(Message):
    """The PLVN cannot be placed now; it asks again after `retry_s`."""

    code: Literal["no_edge_server", "no_capacity", "unknown_inmf"]
    reason: Text
    retry_s: NonNegative


class GrantRenewed(Message):
    """The grant in force, prolonged or moved to another edge server."""

    grant: Grant


class TwinPlaced(Message):
    """The cloud twin gives an edge server a PLVN to manage, or prolongs that."""

    grant: Grant
    site: Site
    requested_inmfs: RequestedInmfs


class TwinRegistered(Message):
    """The edge server hosts the twin of this grant."""

    grant: Grant
