"""Where a store's work is done: in the caller, or in a thread so that nobody waits for the disk."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol


class Writer(Protocol):
    """Does one work after the other."""

    def submit(self, work: Callable[[], None]) -> "asyncio.Future[None]":
        """Do some work; its future raises what the work raised."""
        ...

    def close(self) -> None:
        """Wait for what was submitted."""
        ...


class InlineWriter:
    """Does the work in the caller, so that virtual time stands still meanwhile."""

    def submit(self, work: Callable[[], None]) -> "asyncio.Future[None]":
        """Do the work at once; its future is done."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            work()
        except Exception as error:  # noqa: BLE001  # whatever a store raises goes to who asked
            future.set_exception(error)
        else:
            future.set_result(None)
        return future

    def close(self) -> None:
        """Nothing is under way."""


class ThreadWriter:
    """One thread, shared by all stores of a process: the event loop goes on meanwhile."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="twintier-store")

    def submit(self, work: Callable[[], None]) -> "asyncio.Future[None]":
        """See the port."""
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """See the port."""
        self._thread.shutdown()
