"""Jobs in worker processes, each with one thread, at a lower priority than the bus.

A worker that dies fails its job and is replaced. Workers end with their parent, however it ends:
each watches the pipe that the parent holds open.
"""

import asyncio
import heapq
import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Self

import structlog

from twintier.broker.errors import JobError
from twintier.runtime.effects import Job
from twintier.runtime.one_thread import ONE_THREAD

log = structlog.get_logger()

NICENESS = 1
JOIN_S = 0.3
MAX_FAILED_STARTS = 3
Answer = tuple[bool, object]
"""Whether the job succeeded, and its result or the reason of its failure."""


@dataclass(order=True, slots=True)
class _Waiting:
    """A job in the queue; equal priorities go by age."""

    priority: int
    age: int
    job: Job = field(compare=False)
    future: "asyncio.Future[object]" = field(compare=False)


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker process and what it does now."""

    process: SpawnProcess
    pipe: "connection.Connection[object, object]"
    ready: bool = False
    current: _Waiting | None = None


class WorkerJobs:
    """Runs jobs in a fixed number of processes."""

    def __init__(self, workers: int) -> None:
        """Prepare a pool.

        Args:
            workers: processes, at least one; they start with the context.
        """
        self._count = max(1, workers)
        self._workers: list[_Worker] = []
        self._queue: list[_Waiting] = []
        self._ages = 0
        self._failed_starts = 0
        self._closed = False

    async def __aenter__(self) -> Self:
        """Start the workers; jobs may be submitted at once and wait for them."""
        for _ in range(self._count):
            self._start_worker()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End every job, and wait for the workers' ends."""
        self.end()
        for worker in self._workers:
            worker.process.join(JOIN_S)
        self._workers.clear()

    def end(self) -> None:
        """Kill the workers and cancel every job that has not ended.

        At once, so that whoever says goodbye has the processor for it.
        """
        if self._closed:
            return
        self._closed = True
        for worker in self._workers:
            self._forget(worker)
            if worker.current is not None:
                worker.current.future.cancel()
        for waiting in self._queue:
            waiting.future.cancel()
        self._queue.clear()

    def submit(self, job: Job, priority: int = 0) -> "asyncio.Future[object]":
        """Take a job; its future gives the result, or raises `JobError`."""
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.cancel()
            return future
        self._ages += 1
        heapq.heappush(self._queue, _Waiting(priority, self._ages, job, future))
        self._assign()
        return future

    def _start_worker(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs,), daemon=True, name="twintier-job")
        before = {name: os.environ.get(name) for name in ONE_THREAD}
        os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
        try:
            process.start()
        finally:
            _restore(before)
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        asyncio.get_running_loop().add_reader(ours.fileno(), self._hear, worker)

    def _hear(self, worker: _Worker) -> None:
        try:
            answer = worker.pipe.recv()
        except (EOFError, OSError):
            self._replace(worker)
            return
        except Exception as error:  # noqa: BLE001  # a result may fail to unpickle in any way
            answer = (False, f"the result cannot be read: {error}")
        done, worker.current = worker.current, None
        self._failed_starts, worker.ready = 0, True
        if done is not None and not done.future.done():
            _settle(done.future, answer)
        self._assign()

    def _assign(self) -> None:
        for worker in self._workers:
            while worker.ready and worker.current is None and self._queue:
                waiting = heapq.heappop(self._queue)
                if not waiting.future.done():
                    self._give(worker, waiting)

    def _give(self, worker: _Worker, waiting: _Waiting) -> None:
        worker.current = waiting
        try:
            worker.pipe.send(waiting.job)
        except OSError:
            pass  # the worker is dead; its pipe will say so, and the job fails with it
        except Exception as error:  # noqa: BLE001  # a job may fail to pickle in any way
            worker.current = None
            waiting.future.set_exception(JobError(f"the job cannot be sent: {error}"))

    def _replace(self, worker: _Worker) -> None:
        self._forget(worker)
        self._workers.remove(worker)
        worker.process.join(JOIN_S)
        reason = f"the worker died with exit code {worker.process.exitcode}"
        log.warning("worker died", exit_code=worker.process.exitcode)
        if worker.current is not None and not worker.current.future.done():
            worker.current.future.set_exception(JobError(reason))
        if not worker.ready:
            self._failed_starts += 1
        if self._failed_starts < MAX_FAILED_STARTS * self._count:
            self._start_worker()
        elif not self._workers:
            self._fail_all(f"no worker starts: {reason}")

    def _fail_all(self, reason: str) -> None:
        for waiting in self._queue:
            if not waiting.future.done():
                waiting.future.set_exception(JobError(reason))
        self._queue.clear()

    def _forget(self, worker: _Worker) -> None:
        asyncio.get_running_loop().remove_reader(worker.pipe.fileno())
        worker.pipe.close()
        worker.process.kill()


def _settle(future: "asyncio.Future[object]", answer: object) -> None:
    match answer:
        case (True, result):
            future.set_result(result)
        case (False, reason):
            future.set_exception(JobError(str(reason)))
        case _:
            future.set_exception(JobError(f"a worker answered {type(answer).__name__}"))


def _restore(environment: dict[str, str | None]) -> None:
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _work(pipe: "connection.Connection[object, object]") -> None:
    """A worker's life: say that it is ready, then answer job after job."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(NICENESS)
    pipe.send((True, None))
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        except Exception as error:  # noqa: BLE001  # a job may fail to unpickle in any way
            pipe.send((False, f"the job cannot be read: {type(error).__name__}: {error}"))
            continue
        try:
            pipe.send(_answer(job))
        except Exception as error:  # noqa: BLE001  # a result may fail to pickle in any way
            pipe.send((False, f"the result cannot be sent: {type(error).__name__}: {error}"))


def _answer(job: object) -> Answer:
    try:
        return True, job.run()  # type: ignore[attr-defined]  # a Job, by what was submitted
    except Exception as error:  # noqa: BLE001  # a job may raise anything; its reason goes back
        return False, f"{type(error).__name__}: {error}"


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
    os._exit(1)
