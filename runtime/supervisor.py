"""Runs one core, life after life: when a save fails, the next begins with what the store has kept.

A core whose records were not saved is ahead of its store, so it goes, with everything that waited
for the disk; others see what they see of a process that was killed. The next life is another
incarnation, since what the last one has numbered means nothing any more.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from twintier.runtime.delivery.meter import Meter
from twintier.runtime.effects import Answer
from twintier.runtime.runtime import Runtime
from twintier.runtime.saving import NotSavedError
from twintier.runtime.storage.store import StoreError

log = structlog.get_logger()

FAILED = "store.failed"
REBUILT = "store.rebuilt"
UNSEEN = "observations_unseen"


class StoreFailingError(StoreError):
    """The store fails again and again; see to the disk, then start the process again."""


@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """How long a store may fail."""

    pause_s: tuple[float, float] = (0.1, 10.0)
    """First and longest pause before the next life; it doubles while nothing is saved."""
    limit: int = 10
    """Failures in a row that end the process."""


class Supervisor:
    """One core and its store; to others it is a runtime that goes on."""

    def __init__(
        self,
        build: Callable[[], Runtime],
        settings: SupervisorSettings = SupervisorSettings(),
        *,
        rebuilt: Callable[[], None] = lambda: None,
    ) -> None:
        """Build the first life.

        Args:
            build: a runtime that has not begun, with a core as its store remembers it.
            settings: how long the store may fail.
            rebuilt: told when a later life takes observations.

        Raises:
            StoreError: if the store cannot be read.
        """
        self._build = build
        self._settings = settings
        self._rebuilt = rebuilt
        self._counts: Counter[str] = Counter()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._runtime = build()

    @property
    def meter(self) -> Meter:
        """What the present life has counted."""
        return self._runtime.meter

    async def run(self) -> None:
        """Run until `stop`; also ends cleanly, though without a goodbye, when cancelled.

        Raises:
            TakenOverError: if a later process of the same source has come.
            StoreFailingError: if too many lives in a row could save nothing.
            StoreError: if the account of messages cannot be written.
        """
        in_a_row = 0
        try:
            while True:
                try:
                    await self._runtime.run()
                except NotSavedError as error:
                    in_a_row = 1 if self._runtime.saved else in_a_row + 1
                    reason = str(error)
                else:
                    return
                while not await self._is_rebuilt(in_a_row, reason):
                    if self._stopping.is_set():
                        return
                    in_a_row += 1
        finally:
            self._ended.set()

    def quiesce(self) -> None:
        """See `Runtime.quiesce`."""
        self._runtime.quiesce()

    async def stop(self) -> None:
        """Finish what is under way, say goodbye and disconnect; bounded in time."""
        self._stopping.set()
        await self._runtime.stop()
        await self._ended.wait()

    def observe(self, observation: object) -> list[Answer]:
        """See `Runtime.observe`; between two lives nobody sees anything, and it is counted."""
        if self._runtime.failed:
            self._counts[UNSEEN] += 1
            return []
        return self._runtime.observe(observation)

    async def _is_rebuilt(self, in_a_row: int, reason: str) -> bool:
        """Build the next life after a pause; not if the end comes first, or the store fails.

        Raises:
            StoreFailingError: if this was one failure too many.
        """
        self._counts[FAILED] += 1
        if in_a_row >= self._settings.limit:
            raise StoreFailingError(
                f"the store has failed {in_a_row} times in a row, the last time with {reason}; "
                "see to the disk and the folder of --state, then start again: all that was "
                "acknowledged is kept"
            )
        first_s, longest_s = self._settings.pause_s
        pause_s = min(first_s * 2 ** (in_a_row - 1), longest_s)
        log.warning("rebuilding", in_a_row=in_a_row, pause_s=pause_s, reason=reason)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._stopping.wait()
        if self._stopping.is_set():
            return False
        try:
            self._runtime = self._build()
        except StoreError as error:
            log.warning("not rebuilt", reason=str(error))
            return False
        self._counts[REBUILT] += 1
        self._runtime.meter.counts.update(self._counts)
        self._rebuilt()
        return True
