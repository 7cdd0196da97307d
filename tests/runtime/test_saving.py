"""What waits for a save, in which order it is done, and that nobody else waits."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import pytest

from twintier.runtime.effects import Record
from twintier.runtime.saving import MAX_WAITING, ROOM, Saving
from twintier.runtime.storage.store import MemoryStore
from twintier.runtime.storage.writer import InlineWriter, ThreadWriter


@dataclass(frozen=True)
class Word:
    text: str


ONE, TWO, THREE = (Word(text) for text in ("one", "two", "three"))


@dataclass
class HeldWriter:
    """Does each work when it is told to."""

    works: list[tuple[Callable[[], None], "asyncio.Future[None]"]] = field(default_factory=list)

    def submit(self, work: Callable[[], None]) -> "asyncio.Future[None]":
        self.works.append((work, asyncio.get_running_loop().create_future()))
        return self.works[-1][1]

    async def let_go(self, error: Exception | None = None) -> None:
        work, future = self.works.pop(0)
        if error is None:
            work()
            future.set_result(None)
        else:
            future.set_exception(error)
        await asyncio.sleep(0)

    def close(self) -> None:
        """Nothing is under way."""


@dataclass
class Kept(MemoryStore):
    """Notes which records were saved together."""

    groups: list[Sequence[Record]] = field(default_factory=list)

    def save(self, records: Sequence[Record]) -> None:
        self.groups.append(list(records))


def test_what_follows_from_records_waits_for_them_and_all_else_waits_behind() -> None:
    async def main() -> None:
        store, writer, done = Kept(), HeldWriter(), list[str]()
        saving = Saving(store, writer)
        saving.then(partial(done.append, "nothing to wait for"))
        saving.add([ONE], partial(done.append, "one"))
        saving.then(partial(done.append, "after one"))
        saving.add([TWO], partial(done.append, "two"))
        saving.add([THREE], partial(done.append, "three"))
        assert done == ["nothing to wait for"]
        await writer.let_go()
        assert done == ["nothing to wait for", "one"]
        await writer.let_go()
        assert done[2:] == ["after one", "two", "three"]
        await saving.wait_idle()
        assert store.groups == [[ONE], [TWO, THREE]]
        assert (saving.saved, saving.failed) == (True, None)

    asyncio.run(main())


def test_what_is_done_may_give_records_and_they_wait_behind_all_that_is_due() -> None:
    async def main() -> None:
        store, done = Kept(), list[str]()
        saving = Saving(store, InlineWriter())

        def more() -> None:
            saving.add([TWO], partial(done.append, "two"))
            done.append("one")

        saving.add([ONE], more)
        assert done == ["one", "two"]
        assert store.groups == [[ONE], [TWO]]

    asyncio.run(main())


def test_nothing_that_waits_for_a_save_that_fails_is_ever_done() -> None:
    async def main() -> None:
        store, writer, done = Kept(), HeldWriter(), list[str]()
        saving = Saving(store, writer)
        saving.add([ONE], partial(done.append, "one"))
        saving.add([TWO], partial(done.append, "two"))
        await writer.let_go(OSError("disk full"))
        saving.then(partial(done.append, "later"))
        failed = await saving.wait_failed()
        assert (str(failed), done, store.groups) == ("OSError: disk full", [], [])
        assert (saving.saved, writer.works) == (False, [])
        await saving.wait_idle()

    asyncio.run(main())


def test_a_disk_that_falls_too_far_behind_has_failed() -> None:
    async def main() -> None:
        saving = Saving(Kept(), HeldWriter())
        for _ in range(MAX_WAITING + 1):
            saving.add([ONE], lambda: None)
        failing = asyncio.ensure_future(saving.wait_failed())
        await asyncio.sleep(0)
        assert not failing.done()
        saving.add([ONE], lambda: None)
        assert f"{MAX_WAITING} inputs wait for the disk" in str(await failing)

    asyncio.run(main())


def test_who_takes_messages_waits_while_the_disk_is_behind() -> None:
    async def main() -> None:
        writer = HeldWriter()
        saving = Saving(Kept(), writer)
        for _ in range(ROOM + 1):
            saving.add([ONE], lambda: None)
        await saving.wait_room()
        saving.add([ONE], lambda: None)
        waiting = asyncio.ensure_future(saving.wait_room())
        await writer.let_go()
        assert not waiting.done()
        await writer.let_go()
        await waiting

    asyncio.run(main())


def test_the_event_loop_goes_on_while_a_thread_saves() -> None:
    """The store waits for something that only the loop can do."""
    loop_went_on, threads = threading.Event(), list[str]()

    class Slow(MemoryStore):
        def save(self, records: Sequence[Record]) -> None:
            assert loop_went_on.wait(10)
            threads.append(threading.current_thread().name)
            super().save(records)

    async def main() -> None:
        store, writer, done = Slow(), ThreadWriter(), list[str]()
        saving = Saving(store, writer)
        saving.add([ONE], partial(done.append, "one"))
        await asyncio.sleep(0)
        assert done == []
        loop_went_on.set()
        await saving.wait_idle()
        writer.close()
        assert (done, store.records) == (["one"], [ONE])
        assert threads == ["twintier-store_0"]

    asyncio.run(main())


@pytest.mark.parametrize("make_writer", [InlineWriter, ThreadWriter])
def test_a_writer_gives_what_the_work_raised(
    make_writer: Callable[[], InlineWriter | ThreadWriter],
) -> None:
    def fail() -> None:
        raise OSError("disk full")

    async def main() -> None:
        writer = make_writer()
        with pytest.raises(OSError, match="disk full"):
            await writer.submit(fail)
        await writer.submit(lambda: None)
        writer.close()

    asyncio.run(main())
