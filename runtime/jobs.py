"""The jobs port: long work away from the event loop, and the inline form for tests."""

import asyncio
from types import TracebackType
from typing import Protocol, Self

from twintier.broker.errors import JobError
from twintier.runtime.effects import Job


class Jobs(Protocol):
    """Runs jobs; those that wait go by priority, then by age."""

    def submit(self, job: Job, priority: int = 0) -> "asyncio.Future[object]":
        """Take a job; its future gives the result, or raises `JobError`."""
        ...

    def end(self) -> None:
        """End every job at once, finished or not; those that are submitted from now on, too."""
        ...

    async def __aenter__(self) -> Self:
        """Be ready."""
        ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End every job, and what ran them."""
        ...


class InlineJobs:
    """Runs each job at once in the caller, so that virtual time stands still meanwhile."""

    def submit(self, job: Job, priority: int = 0) -> "asyncio.Future[object]":
        """Run the job; its future is done."""
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        try:
            future.set_result(job.run())
        except Exception as error:  # noqa: BLE001  # a job may raise anything; its reason goes on
            future.set_exception(JobError(f"{type(error).__name__}: {error}"))
        return future

    def end(self) -> None:
        """Nothing is under way."""

    async def __aenter__(self) -> Self:
        """Nothing to start."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to end."""
