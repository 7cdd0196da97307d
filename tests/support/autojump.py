"""An event loop in virtual time that jumps to the next timer when nothing else can happen.

A whole platform then runs on the in-memory bus as fast as it computes, and the same way each time.
Threads and sockets do not hold the clock, so jobs must be inline and the bus in memory.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar  # Any: asyncio's own signature of a coroutine

T = TypeVar("T")
PATIENCE_S = 5.0


class DeadlockError(RuntimeError):
    """Nothing is ready and no timer is set: the loop would wait for ever."""


class _JumpingSelector(selectors.DefaultSelector):
    """Advances virtual time instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; if nothing is, the time of the next timer has come."""
        if timeout is None:
            ready: list[tuple[selectors.SelectorKey, int]] = super().select(PATIENCE_S)
            if not ready:
                raise DeadlockError("nothing is ready and no timer is set")
            return ready
        ready = super().select(0)
        if not ready and timeout > 0:
            self.now_s += timeout
        return ready


class AutojumpLoop(asyncio.SelectorEventLoop):
    """Event loop whose `time()` starts at 0 and passes only by timers."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jumping.now_s


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=AutojumpLoop) as runner:
        return runner.run(main)


class LoopClock:
    """The running event loop's time, which may be virtual."""

    def __init__(self, epoch_s: float = 1_700_000_000.0) -> None:
        self._epoch_s = epoch_s

    def now(self) -> float:
        """Unix seconds: the epoch plus the loop's time."""
        return self._epoch_s + asyncio.get_running_loop().time()
