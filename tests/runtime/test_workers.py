import asyncio
import multiprocessing
import os
import select
import signal
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path

import pytest

from tests.support.jobs import Die, Environment, Note, Raise, Square, Unpicklable, WaitForFile
from twintier.broker.errors import JobError
from twintier.runtime.workers import NICENESS, WorkerJobs

PATIENCE_S = 60.0
ROOT = Path(__file__).parents[2]


def within(main: Coroutine[object, None, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await main

    asyncio.run(bounded())


def test_jobs_give_results_and_reasons_and_the_pool_goes_on_after_a_dead_worker() -> None:
    async def main() -> None:
        async with WorkerJobs(1) as jobs:
            assert await jobs.submit(Square(7)) == 49
            with pytest.raises(JobError, match="ValueError: no slots"):
                await jobs.submit(Raise("no slots"))
            with pytest.raises(JobError, match="the worker died with exit code -9"):
                await jobs.submit(Die())
            with pytest.raises(JobError, match="cannot be sent"):
                await jobs.submit(Square(lambda: 1))  # type: ignore[arg-type]
            with pytest.raises(JobError, match="the result cannot be sent"):
                await jobs.submit(Unpicklable())
            assert await jobs.submit(Square(3)) == 9

    within(main())


def test_a_worker_has_one_thread_and_yields_to_the_bus() -> None:
    async def main() -> None:
        async with WorkerJobs(1) as jobs:
            result = await jobs.submit(Environment())
        assert isinstance(result, tuple)
        assert result[:2] == ("1", os.nice(0) + NICENESS)
        assert result[2] != os.getpid()

    within(main())


def test_waiting_jobs_go_by_priority_and_then_by_age(tmp_path: Path) -> None:
    async def main() -> None:
        notes, gate = tmp_path / "notes", tmp_path / "gate"
        async with WorkerJobs(1) as jobs:
            first = jobs.submit(WaitForFile(gate))
            later = [
                jobs.submit(Note(notes, "third"), 5),
                jobs.submit(Note(notes, "first"), -1),
                jobs.submit(Note(notes, "fourth"), 5),
                jobs.submit(Note(notes, "second"), 0),
            ]
            jobs.submit(Note(notes, "cancelled"), -9).cancel()
            gate.touch()
            await first
            await asyncio.gather(*later)
        assert notes.read_text().split() == ["first", "second", "third", "fourth"]

    within(main())


def test_leaving_the_pool_cancels_what_has_not_ended_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with WorkerJobs(1) as jobs:
            await jobs.submit(Square(1))
            running = jobs.submit(WaitForFile(tmp_path / "never"))
            waiting = jobs.submit(Square(2))
            start = loop.time()
        assert loop.time() - start < 0.5
        assert running.cancelled()
        assert waiting.cancelled()

    within(main())


def test_ended_jobs_leave_the_processor_before_the_pool_is_left(tmp_path: Path) -> None:
    async def main() -> None:
        async with WorkerJobs(1) as jobs:
            await jobs.submit(Square(1))
            running = jobs.submit(WaitForFile(tmp_path / "never"))
            jobs.end()
            jobs.end()
            assert running.cancelled()
            assert jobs.submit(Square(2)).cancelled()
            while multiprocessing.active_children():  # noqa: ASYNC110  # the system reaps them
                await asyncio.sleep(0)

    within(main())


PARENT = """
import asyncio, sys
from twintier.runtime.workers import WorkerJobs
from tests.support.jobs import Environment, WaitForFile
from pathlib import Path

async def main():
    async with WorkerJobs(1) as jobs:
        print((await jobs.submit(Environment()))[2], flush=True)
        await jobs.submit(WaitForFile(Path("/nonexistent/never")))

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, env=environment, text=True
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        ended = os.pidfd_open(worker)
        assert wait_readable(ended, 10.0)
        os.close(ended)


def wait_readable(descriptor: int, timeout_s: float) -> bool:
    return bool(select.select([descriptor], [], [], timeout_s)[0])
