"""A core's timers and jobs: what comes back to it later, but for messages."""

import asyncio
from collections.abc import Callable, Hashable

from twintier.broker.errors import JobError
from twintier.runtime.core import Input, JobDone, JobFailed, TimerFired
from twintier.runtime.effects import CancelTimer, StartJob, StartTimer
from twintier.runtime.jobs import Jobs


class Schedule:
    """Of one core; after `end` nothing comes back any more."""

    def __init__(self, jobs: Jobs, take: Callable[[Input], object]) -> None:
        self._jobs = jobs
        self._take = take
        self._timers: dict[Hashable, asyncio.TimerHandle] = {}
        self._under_way: set[asyncio.Future[object]] = set()
        self._ended = False

    def add(self, effect: StartTimer | CancelTimer | StartJob) -> None:
        """Do what an effect says."""
        match effect:
            case StartTimer():
                self._start_timer(effect)
            case CancelTimer():
                self._cancel_timer(effect.key)
            case StartJob():
                self._start_job(effect)

    def end(self) -> None:
        """Forget timers, and end jobs, also those of others who share them."""
        self._jobs.end()
        self.abandon()

    def abandon(self) -> None:
        """Forget timers and jobs; who shares them goes on."""
        self._ended = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for future in tuple(self._under_way):
            future.cancel()

    def _start_timer(self, effect: StartTimer) -> None:
        self._cancel_timer(effect.key)
        if not self._ended:
            loop = asyncio.get_running_loop()
            self._timers[effect.key] = loop.call_later(effect.after_s, self._fire, effect.key)

    def _cancel_timer(self, key: Hashable) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    def _fire(self, key: Hashable) -> None:
        self._timers.pop(key, None)
        self._take(TimerFired(key))

    def _start_job(self, effect: StartJob) -> None:
        if self._ended:
            return
        future = self._jobs.submit(effect.job, effect.priority)
        self._under_way.add(future)
        future.add_done_callback(lambda done: self._job_ended(effect.key, done))

    def _job_ended(self, key: Hashable, future: "asyncio.Future[object]") -> None:
        self._under_way.discard(future)
        if future.cancelled():
            return
        error = future.exception()
        if self._ended:
            return
        if error is None:
            self._take(JobDone(key, future.result()))
        else:
            reason = str(error) if isinstance(error, JobError) else repr(error)
            self._take(JobFailed(key, reason))
