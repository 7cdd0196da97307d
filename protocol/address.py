"""Where on the bus: the identities that fill the levels of a topic."""

from dataclasses import dataclass
from typing import Literal

from twintier.protocol.ids import EdgeId, InmfId, PlvnId

Branch = Literal["plvn/up", "plvn/down", "edge/up", "edge/down"]


@dataclass(frozen=True, slots=True)
class Address:
    """The variable levels of a topic; those that its template lacks are None."""

    plvn: PlvnId | None = None
    edge: EdgeId | None = None
    inmf: InmfId | None = None
    category_digest: str | None = None
    role: str | None = None
    id: str | None = None
    digest: str | None = None
    branch: Branch | None = None
    """For a message that travels on several branches: on which one."""
