"""Keys of an edge server's timers and jobs: what each is for, and whose it is."""

from dataclasses import dataclass
from enum import Enum

from twintier.protocol.ids import InmfId, PlvnId


class Timer(Enum):
    """Timers of which there is one."""

    LEASE = "lease"
    """The retained status is to be renewed."""

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True)
class FetchRetry:
    """A meta model is to be asked for again."""

    inmf: InmfId
    category: str

    def __str__(self) -> str:
        return f"fetch/{self.inmf}/{self.category}"


@dataclass(frozen=True, slots=True)
class DispatchRetry:
    """What a PLVN has not confirmed is to be dispatched again."""

    plvn: PlvnId
    inmf: InmfId

    def __str__(self) -> str:
        return f"dispatch/{self.plvn}/{self.inmf}"


@dataclass(frozen=True, slots=True)
class Adapting:
    """The job that makes an individual model; a later attempt voids an earlier one's result."""

    plvn: PlvnId
    inmf: InmfId
    attempt: int

    def __str__(self) -> str:
        return f"adaptation/{self.plvn}/{self.inmf}/{self.attempt}"


@dataclass(frozen=True, slots=True)
class ChangeTesting:
    """The job that tests an alarm for a change, in the attempts of adaptations."""

    plvn: PlvnId
    inmf: InmfId
    attempt: int

    def __str__(self) -> str:
        return f"change-test/{self.plvn}/{self.inmf}/{self.attempt}"


@dataclass(frozen=True, slots=True)
class MetaRound:
    """The job of a round of meta training; the same for a repeated message."""

    inmf: InmfId
    job: str
    iteration: int
    seed: int

    def __str__(self) -> str:
        return f"meta-round/{self.inmf}/{self.job}/{self.iteration}/{self.seed}"


@dataclass(frozen=True, slots=True)
class Exporting:
    """The job that makes the graph by which agents run a network of an INMF's own."""

    inmf: InmfId

    def __str__(self) -> str:
        return f"export/{self.inmf}"
