"""What must be durable, and what waits for that: one order for both.

Whatever a process says or acknowledges passes here, behind all records that were given before it.
So a core may go on while the disk is slow, and nobody hears of what a crash could still undo. When
a save fails nothing of what waits is ever done: the core is ahead of its store, and has to go.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from twintier.runtime.effects import Record
from twintier.runtime.storage.store import Store
from twintier.runtime.storage.writer import Writer

MAX_WAITING = 10_000
"""Inputs whose records wait for the disk; a store that is further behind has failed."""
ROOM = 256
"""Inputs that wait before messages are taken more slowly."""


class NotSavedError(Exception):
    """The store did not keep the records; its error is the cause."""


class _Batch(NamedTuple):
    records: Sequence[Record]
    then: Callable[[], object]


class Saving:
    """Of one core, from its first input until a save fails."""

    def __init__(self, store: Store, writer: Writer) -> None:
        """Wait for nothing.

        Args:
            store: where records go.
            writer: does what may block.
        """
        self._store = store
        self._writer = writer
        self._waiting: deque[_Batch] = deque()
        self._busy = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._ended = asyncio.Event()
        self.failed: NotSavedError | None = None
        """Why nothing is done any more."""
        self.saved = False
        """Whether anything has been saved."""

    def add(self, records: Sequence[Record], then: Callable[[], object]) -> None:
        """Make records durable, and after all that was given before, do something."""
        if self.failed is not None:
            return
        if not records and not self._busy:
            then()
            return
        self._waiting.append(_Batch(records, then))
        if len(self._waiting) > MAX_WAITING:
            self._fail(TimeoutError(f"{MAX_WAITING} inputs wait for the disk"))
        elif not self._busy:
            self._write()

    def then(self, do: Callable[[], object]) -> None:
        """Do something once all that was given before is durable."""
        self.add((), do)

    async def wait_idle(self) -> None:
        """Wait until everything is durable and done, or never will be."""
        await self._idle.wait()

    async def wait_failed(self) -> NotSavedError:
        """Wait until a save has failed; gives the failure."""
        await self._ended.wait()
        assert self.failed is not None
        return self.failed

    async def wait_room(self) -> None:
        """Wait while the disk is behind."""
        if len(self._waiting) > ROOM:
            await self._idle.wait()

    def _write(self) -> None:
        """Save all that waits in one transaction: under load each costs less."""
        self._busy = True
        self._idle.clear()
        while self._waiting and self.failed is None:
            batches = tuple(self._waiting)
            self._waiting.clear()
            records = [record for batch in batches for record in batch.records]
            if records:
                written = self._writer.submit(partial(self._store.save, records))
                if not written.done():
                    written.add_done_callback(partial(self._on_written, batches))
                    return
                if not self._is_saved(written):
                    return
            self._do(batches)
        self._rest()

    def _on_written(self, batches: Sequence[_Batch], written: "asyncio.Future[None]") -> None:
        if self.failed is None and self._is_saved(written):
            self._do(batches)
            self._write()

    def _is_saved(self, written: "asyncio.Future[None]") -> bool:
        error = asyncio.CancelledError() if written.cancelled() else written.exception()
        if error is not None:
            self._fail(error)
            return False
        self.saved = True
        return True

    def _do(self, batches: Sequence[_Batch]) -> None:
        for batch in batches:
            batch.then()

    def _fail(self, error: BaseException) -> None:
        self.failed = NotSavedError(f"{type(error).__name__}: {error}")
        self.failed.__cause__ = error
        self._waiting.clear()
        self._ended.set()
        self._rest()

    def _rest(self) -> None:
        self._busy = False
        self._idle.set()
