"""Runs roles in this process until a signal says stop."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence

from twintier.runtime.runtime import Runtime

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_until_signal(main: Callable[[asyncio.Event], Coroutine[None, None, int]]) -> int:
    """Run a coroutine with an event that the first SIGINT or SIGTERM sets; returns its result."""

    async def wrapped() -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, stop.set)
        return await main(stop)

    return asyncio.run(wrapped())


async def serve(
    runtimes: Sequence[Runtime], stop: asyncio.Event, work: Sequence[Awaitable[None]] = ()
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
