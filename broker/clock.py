"""Wall time as a port, so that a run can take place in virtual time."""

import asyncio
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


class LoopClock:
    """The running event loop's time, which may be virtual."""

    def __init__(self, epoch_s: float = 1_700_000_000.0) -> None:
        self._epoch_s = epoch_s

    def now(self) -> float:
        """Unix seconds: the epoch plus the loop's time."""
        return self._epoch_s + asyncio.get_running_loop().time()
