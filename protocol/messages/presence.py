"""Who is there: retained statuses with a lease."""

from typing import Literal

from twintier.protocol.messages.base import (
    Count,
    Latitude,
    Longitude,
    Message,
    NonNegative,
    VerifyKey,
)


class AgentStatusReported(Message):
    """A PLVN's agent is there, or says that it leaves."""

    state: Literal["online", "offline"]
    lease_s: NonNegative


class EdgeStatusReported(Message):
    """An edge server is there, where it stands, and how many twins it has room for."""

    state: Literal["online", "offline"]
    lease_s: NonNegative
    lat_deg: Latitude
    lon_deg: Longitude
    capacity: Count
    twins: Count
    verify_key: VerifyKey = ""
    """Checks what it signs; empty if it signs nothing."""


class CloudStatusReported(Message):
    """The cloud twin is there, and whether it is still planning."""

    state: Literal["online", "offline"]
    lease_s: NonNegative
    phase: Literal["planning", "online"]
    iterations: Count
    iterations_planned: Count
