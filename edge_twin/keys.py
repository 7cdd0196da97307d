"""Keys of an edge server's timers and jobs: what they are about, in parts."""

from dataclasses import dataclass

from twintier.protocol.ids import InmfId, PlvnId


@dataclass(frozen=True, slots=True)
class Lease:
    """Timer: the lease in the retained status is to be renewed."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Timer: a meta model was asked for and has not come."""

    inmf: InmfId
    category: str


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Timer: an order to a PLVN has no answer."""

    plvn: PlvnId
    inmf: InmfId


@dataclass(frozen=True, slots=True)
class Round:
    """Job: the part of an iteration of Fig. 5(a); the same for a repeated message."""

    inmf: InmfId
    job: str
    iteration: int
    seed: int


@dataclass(frozen=True, slots=True)
class Adapt:
    """Job: the model of an exchange is made."""

    plvn: PlvnId
    inmf: InmfId
    attempt: int


@dataclass(frozen=True, slots=True)
class Examine:
    """Job: an alarm is examined for a change."""

    plvn: PlvnId
    inmf: InmfId
    attempt: int


@dataclass(frozen=True, slots=True)
class Export:
    """Job: the graph of a network of an INMF's own is made for agents."""

    inmf: InmfId
