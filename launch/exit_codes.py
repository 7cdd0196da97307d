"""How a command ends; a number once given is never reused."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of `twintier`."""

    OK = 0
    FAILED = 1
    """Something unforeseen; the log says what."""
    USAGE = 2
    """Options that do not fit together; typer's own number too."""
    NO_BROKER = 3
    """No broker could be started or reached."""
    SOURCE = 4
    """The source of vehicles could not start, or died."""
    CHILD_DIED = 5
    """A process of the demo ended by itself."""
    PLANNING = 6
    """Offline planning did not end in time."""
    NOT_ADAPTED = 7
    """The run ended before every PLVN had an individual model."""
    TAKEN_OVER = 8
    """Another process has this identity now."""
    STORE = 9
    """The state folder cannot be used by this release."""
    CERTIFICATE = 10
    """A certificate has ended, or ends within seven days."""
    DIFFERENT = 11
    """A recording that was played back went another way."""
    UNHEALTHY = 12
    """The doctor has found a problem."""
