"""Keys of the cloud twin's timers: what each is for, and whose it is."""

from dataclasses import dataclass
from enum import Enum

from twintier.protocol.ids import PlvnId


class Timer(Enum):
    """Timers of which there is one."""

    LEASE = "lease"
    """The retained status is to be renewed."""
    GRANTS = "grants"
    """Grants are to be prolonged."""
    SERVERS = "servers"
    """Edge servers have had their time to report after a start."""
    PLANNING_PAUSE = "planning-pause"
    """No PLVN has come for a while: planning may begin."""
    SUPER = "super"
    """The super model must be done."""
    PLANNING = "planning"
    """Offline planning must be done."""

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True)
class Placement:
    """An edge server is to be told of a twin again."""

    plvn: PlvnId

    def __str__(self) -> str:
        return f"placement/{self.plvn}"


@dataclass(frozen=True, slots=True)
class RoundDeadline:
    """The present round of a training ends."""

    job: str

    def __str__(self) -> str:
        return f"round-deadline/{self.job}"


@dataclass(frozen=True, slots=True)
class RoundPause:
    """A training without gradients is tried again."""

    job: str

    def __str__(self) -> str:
        return f"round-pause/{self.job}"
