"""Runs roles in this process until a signal says stop."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from twintier.launch.signals import STOP_SIGNALS, handlers_kept
from twintier.runtime.supervisor import Supervisor

T = TypeVar("T")


class _Abandoned(ThreadPoolExecutor):
    """Threads that nobody waits for at the end: who stops has no use for what they still do."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  # the base class's
        """Take no more work, and let go of what runs."""
        super().shutdown(wait=False, cancel_futures=True)


def run_until_signal(main: Callable[[asyncio.Event], Coroutine[None, None, int]]) -> int:
    """Run a coroutine with an event that the first signal to stop sets; returns its result.

    Signals are SIGINT, SIGTERM and SIGHUP; the last stays ignored where it was, as by `nohup`.
    """

    async def wrapped() -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.set_default_executor(_Abandoned())
        for number in STOP_SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, stop.set)
        return await main(stop)

    with handlers_kept():
        return asyncio.run(wrapped())


async def unless_stopped(work: Coroutine[None, None, T], stop: asyncio.Event) -> T | None:
    """What some work gives; None if a signal came first, and the work was cancelled.

    Raises:
        Exception: what the work raised.
    """
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        done = working.done()
        working.cancel()
        stopping.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
    return working.result() if done else None


async def serve(
    runtimes: Sequence[Supervisor], stop: asyncio.Event, work: Sequence[Awaitable[None]] = ()
) -> None:
    """Run runtimes, and work beside them, until `stop` is set or some work fails.

    Raises:
        Exception: what the work raised; the runtimes have stopped cleanly by then.
    """
    running = [asyncio.ensure_future(runtime.run()) for runtime in runtimes]
    working = [asyncio.ensure_future(part) for part in work]
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([stopping, *running, *working], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (stopping, *working):
            task.cancel()
        for runtime in runtimes:
            runtime.quiesce()
        alive = [r for r, task in zip(runtimes, running, strict=True) if not task.done()]
        await asyncio.gather(*(runtime.stop() for runtime in alive))
        ended = await asyncio.gather(*running, *working, return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, Exception):
            raise outcome
