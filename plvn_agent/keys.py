"""Keys of an agent's timers: what each is for."""

from enum import Enum


class Timer(Enum):
    """Timers of which there is one each."""

    LEASE = "lease"
    """The retained status is to be renewed."""
    REGISTER = "register"
    """The cloud twin is to be asked again."""

    def __str__(self) -> str:
        return str(self.value)
