"""Wall time as a port, so that a run can take place in virtual time."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time that leases, deadlines and expiry are judged by."""

    def now(self) -> float:
        """Unix seconds."""
        ...


class WallClock:
    """The machine's clock, kept from running backwards; it goes on while the machine sleeps."""

    def __init__(self) -> None:
        self._offset_s = time.time() - _passed_s()

    def now(self) -> float:
        """Unix seconds at the start, plus what has passed since."""
        return self._offset_s + _passed_s()


def _passed_s() -> float:
    """Seconds that only grow, with those of sleep where the system counts them."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
