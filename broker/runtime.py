"""Runs one core on a bus: inputs in, effects out.

For each input: records saved in one transaction, then messages queued for the bus, then the
delivery acknowledged, in this order. The core is called on the event loop and never blocks it;
timers, job results and observations never wait behind messages. The one broad `except` of the
project is here: it reports the input as refused, counts it and goes on.
"""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

import structlog

from broker.bus import Bus, Delivery, Will
from broker.clock import Clock
from broker.core import Core, Input, JobDone, JobFailed, Observed, Received, Started, TimerFired
from broker.effects import (
    Actuate,
    CancelTimer,
    Effect,
    Publish,
    Save,
    StartJob,
    StartTimer,
    Subscribe,
    Tally,
    Unsubscribe,
)
from broker.errors import JobError
from broker.health import Meter
from broker.inbound import Inbound
from broker.jobs import Jobs
from broker.ledger import Ledger
from broker.outbound import Encoder, Listening, Outbox, Outgoing
from broker.recording import Recorder, Step
from broker.store import Store
from protocol.catalogue import row_of
from protocol.errors import RemoteProtocolError
from protocol.messages import MessageRefused
from protocol.messages.base import Message
from protocol.topics import DEFAULT_ROOT, prefix, subscriptions

log = structlog.get_logger()


def new_boot() -> str:
    """A nonce for a process; also part of its client id on the broker."""
    return secrets.token_hex(6)


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """How a core is run."""

    root: str = DEFAULT_ROOT
    boot: str = field(default_factory=new_boot)
    clock_id: str | None = None
    """Names the simulated clock of the messages that carry simulated time."""
    ledger_path: Path | None = None
    """Where the account of messages is written at the end."""
    inbox_path: Path | None = None
    """Where every input of the core is recorded, for `broker.recording.replay`."""
    outbox_limit: int = 10_000
    """Messages that wait for the bus at most."""
    health_interval_s: float = 1.0
    reports_per_s: float = 20.0
    """Refused messages that are reported one by one; all of them are counted."""
    drain_idle_s: float = 0.2
    drain_s: float = 0.6
    goodbye_s: float = 0.25


class Runtime:
    """One core, its bus and its jobs."""

    def __init__(
        self,
        core: Core,
        bus: Bus,
        *,
        routes: Sequence[Subscribe],
        clock: Clock,
        jobs: Jobs,
        store: Store,
        settings: RuntimeSettings,
    ) -> None:
        """Put the parts together.

        Args:
            core: the behaviour.
            bus: not connected yet.
            routes: what the core listens to from the start.
            clock: wall time.
            jobs: started and ended by the caller, who may share it among runtimes.
            store: where the core's records go.
            settings: how it is run.
        """
        self._core = core
        self._bus = bus
        self._settings = settings
        self._wanted: set[type[Message]] = set()
        self._initial = [self._listening(route, on=True) for route in routes]
        self._clock = clock
        self._jobs = jobs
        self._store = store
        self._inbound = Inbound(settings.root)
        self._encoder = Encoder(
            core.role,
            core.id,
            settings.boot,
            root=settings.root,
            clock_id=settings.clock_id,
        )
        self._outbox = Outbox(settings.outbox_limit)
        self._ledger = Ledger(settings.ledger_path)
        self._recorder = None if settings.inbox_path is None else Recorder(settings.inbox_path)
        self._meter = Meter(core.role, bus, self._inbound, self._outbox)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._reports_left = settings.reports_per_s
        self._last_traffic = 0.0
        self._started = False
        self._status: Publish | None = None
        """The last status that the core published."""
        self._will_topic = ""
        self._quiet = False
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()

    @property
    def meter(self) -> Meter:
        """What has been counted."""
        return self._meter

    async def run(self) -> None:
        """Run until `stop`; also ends cleanly, though without a goodbye, when cancelled."""
        self._meter.start(self._clock.now())
        try:
            await self._bus.subscribe([f for listening in self._initial for f in listening.filters])
            await self._bus.connect(self._will, self._came_up)
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(work)
                    for work in (self._consume(), self._send(), self._report())
                ]
                await self._stopping.wait()
                await self._drain()
                for task in tasks:
                    task.cancel()
        finally:
            self.quiesce()
            await self._bus.close()
            self._write_ledger()
            if self._recorder is not None:
                self._recorder.close()
            self._stopped.set()

    def quiesce(self) -> None:
        """End timers, jobs and observations; messages are still received and acknowledged."""
        self._quiet = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    async def stop(self) -> None:
        """Finish what is under way, say goodbye and disconnect; bounded in time."""
        self.quiesce()
        self._stopping.set()
        await self._stopped.wait()

    def observe(self, observation: object) -> list[Actuate]:
        """Give the core what its source saw; returns what the core wants done about it."""
        return [] if self._quiet else self._take(Observed(observation), None)

    def _came_up(self) -> None:
        """Start the core; after a lost connection, take back what the will has said of us."""
        log.info("on the bus", role=self._core.role, id=self._core.id)
        if self._started:
            if self._status is not None:
                self._apply([self._status])
            return
        self._started = True
        for listening in self._initial:
            self._listens(listening)
        if not self._quiet:
            self._take(Started(), None)

    async def _send(self) -> None:
        await self._outbox.send(self._bus, self._listens)

    async def _consume(self) -> None:
        async for delivery in self._bus.deliveries():
            self._meter.delivered += 1
            self._last_traffic = self._clock.now()
            self._accept(delivery)
            self._outbox.put_ack(delivery)
            if self._outbox.full:
                await self._outbox.wait_room()
            await asyncio.sleep(0)  # timers and observations do not wait for a full inbox

    def _accept(self, delivery: Delivery) -> None:
        try:
            received = self._inbound.decode(delivery)
        except RemoteProtocolError as error:
            self._refuse(error.code, error.reason, delivery)
            return
        envelope, now = received.envelope, self._clock.now()
        if delivery.qos and not delivery.retain:
            self._ledger.received(envelope.src, envelope.boot, envelope.stream, envelope.seq)
        wanted = type(received.message) in self._wanted
        if wanted and self._inbound.is_due(envelope, now, retain=delivery.retain):
            self._take(received, delivery)

    def _take(self, taken: Input, delivery: Delivery | None) -> list[Actuate]:
        try:
            return self._apply(self._receive(taken))
        except Exception as error:  # the one place: report, count, go on
            reason = f"{_kind(taken)}: {type(error).__name__}: {error}"
            log.exception("input failed", role=self._core.role, id=self._core.id, reason=reason)
            self._refuse("failed", reason, delivery)
            return []

    def _receive(self, taken: Input) -> Sequence[Effect]:
        now = self._clock.now()
        if self._recorder is None:
            return self._core.receive(taken, now)
        try:
            effects = self._core.receive(taken, now)
        except Exception as error:
            self._recorder.write(Step(now, taken, (), repr(error)))
            raise
        self._recorder.write(Step(now, taken, tuple(effects), ""))
        return effects

    def _apply(self, effects: Sequence[Effect]) -> list[Actuate]:
        now = self._clock.now()
        encoded = {
            index: self._encoder.encode(effect, now)
            for index, effect in enumerate(effects)
            if isinstance(effect, Publish)
        }
        records = [effect.record for effect in effects if isinstance(effect, Save)]
        if records:
            self._store.save(records)
        for index, effect in enumerate(effects):
            match effect:
                case Publish():
                    self._queue(effect, encoded[index], now)
                case Subscribe() | Unsubscribe():
                    on = isinstance(effect, Subscribe)
                    self._outbox.put_listening(self._listening(effect, on=on))
                case Tally():
                    self._meter.tallies[effect.counter] += effect.count
                case StartTimer() | CancelTimer() | StartJob():
                    self._schedule(effect)
                case Save() | Actuate():
                    pass
                case _:
                    assert_never(effect)
        return [effect for effect in effects if isinstance(effect, Actuate)]

    def _schedule(self, effect: StartTimer | CancelTimer | StartJob) -> None:
        match effect:
            case StartTimer():
                self._start_timer(effect)
            case CancelTimer():
                self._cancel_timer(effect.key)
            case StartJob():
                self._start_job(effect)

    def _listening(self, effect: Subscribe | Unsubscribe, *, on: bool) -> Listening:
        self._wanted |= set(effect.messages)
        filters = subscriptions(effect.messages, effect.to, self._settings.root)
        return Listening(tuple(filters), on)

    def _listens(self, listening: Listening) -> None:
        start, now = len(prefix(self._settings.root)), self._clock.now()
        filters = [topic_filter[start:] for topic_filter in listening.filters]
        if listening.on:
            self._ledger.subscribed(filters, now)
        else:
            self._ledger.unsubscribed(filters, now)

    def _queue(self, effect: Publish, outgoing: Outgoing, now: float) -> None:
        if effect.sim_time_s is not None:
            self._meter.reached(effect.sim_time_s)
        if outgoing.qos and not outgoing.retain and not self._quiet:
            self._ledger.sent(outgoing.stream, outgoing.seq, now, outgoing.ttl_s)
        if outgoing.topic == self._will_topic:
            self._status = effect
        self._outbox.put(outgoing)

    def _start_timer(self, effect: StartTimer) -> None:
        self._cancel_timer(effect.key)
        if not self._quiet:
            loop = asyncio.get_running_loop()
            self._timers[effect.key] = loop.call_later(effect.after_s, self._fire, effect.key)

    def _cancel_timer(self, key: str) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    def _fire(self, key: str) -> None:
        self._timers.pop(key, None)
        self._take(TimerFired(key), None)

    def _start_job(self, effect: StartJob) -> None:
        if self._quiet:
            return
        future = self._jobs.submit(effect.job, effect.priority)
        future.add_done_callback(lambda done: self._job_ended(effect.key, done))

    def _job_ended(self, key: str, future: "asyncio.Future[object]") -> None:
        if future.cancelled():
            return
        error = future.exception()
        if self._quiet:
            return
        if error is None:
            self._take(JobDone(key, future.result()), None)
        else:
            reason = str(error) if isinstance(error, JobError) else repr(error)
            self._take(JobFailed(key, reason), None)

    def _refuse(self, code: str, reason: str, delivery: Delivery | None) -> None:
        self._meter.refuse(code)
        if self._reports_left < 1:
            return
        self._reports_left -= 1
        topic = "" if delivery is None else delivery.topic
        size = 0 if delivery is None else len(delivery.payload)
        log.warning("refused", code=code, reason=reason, topic=topic, size=size)
        report = MessageRefused(
            role=self._core.role, topic=topic[:256], code=code, reason=reason[:512], size=size
        )
        self._publish(report)

    def _publish(self, message: Message) -> None:
        effect, now = Publish(message), self._clock.now()
        self._queue(effect, self._encoder.encode(effect, now), now)

    async def _report(self) -> None:
        interval_s = self._settings.health_interval_s
        while True:
            await asyncio.sleep(interval_s)
            self._reports_left = self._settings.reports_per_s * interval_s
            self._publish(self._meter.health(self._clock.now()))

    def _will(self) -> Will:
        """The retained part of the goodbye, numbered in a stream of its own."""
        now = self._clock.now()
        for effect in self._core.goodbye():
            if isinstance(effect, Publish) and row_of(type(effect.message)).retain:
                outgoing = self._encoder.encode(effect, now, stream="will")
                self._will_topic = outgoing.topic
                return Will(outgoing.topic, outgoing.payload)
        raise TypeError(f"goodbye of {self._core.role} {self._core.id} retains no status")

    async def _drain(self) -> None:
        settings, loop = self._settings, asyncio.get_running_loop()
        deadline = loop.time() + settings.drain_s
        self._last_traffic = self._clock.now()
        while self._bus.up and loop.time() < deadline:
            idle_s = self._clock.now() - self._last_traffic
            if idle_s >= settings.drain_idle_s:
                break
            await asyncio.sleep(min(settings.drain_idle_s - idle_s, deadline - loop.time()))
        self._ledger.ended(self._clock.now())
        self._apply(self._core.goodbye())
        with suppress(TimeoutError):
            async with asyncio.timeout(settings.goodbye_s if self._bus.up else 0):
                await self._outbox.wait_idle()
                await self._bus.flush()

    def _write_ledger(self) -> None:
        page = self._ledger.page(
            self._encoder.src,
            self._settings.boot,
            self._clock.now(),
            self._meter.messages,
            self._meter.dropped,
        )
        self._ledger.write(page)


def _kind(taken: Input) -> str:
    return type(taken.message).__name__ if isinstance(taken, Received) else type(taken).__name__
