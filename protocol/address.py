"""Where on the bus: the identities that fill the levels of a topic."""

from dataclasses import dataclass

from protocol.ids import EdgeId, InmfId, PlvnId


@dataclass(frozen=True, slots=True)
class Address:
    """The variable levels of a topic; those that its template lacks are None."""

    plvn: PlvnId | None = None
    edge: EdgeId | None = None
    inmf: InmfId | None = None
    category_digest: str | None = None
    role: str | None = None
    id: str | None = None
