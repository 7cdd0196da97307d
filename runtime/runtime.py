"""Runs one core on a bus: inputs in, effects out.

For each input: records saved in one transaction, then messages queued for the bus, then the
delivery acknowledged, in this order. The core is called on the event loop and never blocks it;
timers, job results and observations never wait behind messages. The one broad `except` of the
project is here: it reports the input as refused, counts it and goes on.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from twintier.broker.bus import Bus, Delivery, Will
from twintier.broker.clock import Clock
from twintier.protocol.catalogue import WILL_STREAM, row_of
from twintier.protocol.envelope import Envelope
from twintier.protocol.topics import DEFAULT_ROOT, prefix, subscriptions
from twintier.runtime.core import Core, Input, Observed, Received, Started
from twintier.runtime.delivery.bulk import Bulk
from twintier.runtime.delivery.courier import Courier, CourierSettings, Hooks
from twintier.runtime.delivery.inbound import Inbound
from twintier.runtime.delivery.ledger import Ledger
from twintier.runtime.delivery.meter import Meter
from twintier.runtime.delivery.outbound import Encoder, Listening, Outgoing, SendQueue
from twintier.runtime.delivery.positions import is_upload
from twintier.runtime.delivery.presence import Heard, Presence, TakenOverError, new_boot
from twintier.runtime.delivery.reception import Reception
from twintier.runtime.delivery.refusals import Refusals
from twintier.runtime.effects import (
    Actuate,
    Answer,
    CancelTimer,
    ConfirmUploads,
    Count,
    Defer,
    Delegate,
    Effect,
    Publish,
    Record,
    Save,
    StartJob,
    StartTimer,
    Subscribe,
    Unsubscribe,
)
from twintier.runtime.jobs import Jobs
from twintier.runtime.schedule import Schedule
from twintier.runtime.storage.journal import Accepted
from twintier.runtime.storage.store import Store

log = structlog.get_logger()

Acceptance = tuple[Envelope, Accepted]
"""An upload of a peer, and the record that it has had its effect."""


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """How a core is run."""

    root: str = DEFAULT_ROOT
    boot: str = field(default_factory=new_boot)
    clock_id: str | None = None
    """Names the simulated clock of the messages that carry simulated time."""
    ledger_path: Path | None = None
    """Where the account of messages is written at the end."""
    queue_limit: int = 10_000
    """Messages that wait for the bus at most."""
    health_interval_s: float = 1.0
    reports_per_s: float = 20.0
    """Refused messages that are reported one by one; all of them are counted."""
    courier: CourierSettings = field(default_factory=CourierSettings)
    sign_key: Ed25519PrivateKey | None = field(default=None, repr=False)
    """Signs orders to PLVNs; without it none is signed."""
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
        bulk: Bus | None = None,
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
            bulk: a second connection for chunks of large messages; without it they share the first.
        """
        self._core = core
        self._bus = bus
        self._settings = settings
        self._clock = clock
        self._store = store
        self._inbound = Inbound(settings.root)
        self._encoder = Encoder(
            core.role,
            core.id,
            settings.boot,
            root=settings.root,
            clock_id=settings.clock_id,
            sign_key=settings.sign_key,
            floor=lambda stream: self._courier.outbox.floor(settings.boot, stream),
        )
        self._queue = SendQueue(settings.queue_limit)
        self._bulk = None if bulk is None else Bulk(bulk, settings.queue_limit)
        self._courier = Courier(
            self._encoder.src,
            settings.root,
            store,
            clock,
            queue=self._queue,
            bulk=self._bulk,
            settings=settings.courier,
        )
        self._presence = Presence(self._encoder.src, settings.boot)
        self._ledger = Ledger(settings.ledger_path)
        self._meter = Meter(
            core.role, bus, self._inbound, self._queue, self._courier.outbox, bulk=self._bulk
        )
        self._schedule = Schedule(jobs, lambda taken: self._take(taken, None))
        self._refusals = Refusals(
            core.role, settings.root, self._meter, settings.reports_per_s, self._publish
        )
        self._reception = Reception(
            self._inbound,
            self._courier,
            self._presence,
            self._refusals,
            queue=self._queue,
            ledger=self._ledger,
            meter=self._meter,
            clock=clock,
        )
        self._reception.open(self._take, self._meet)
        self._initial = [self._listening(route, on=True) for route in routes]
        self._last_traffic = 0.0
        self._started = False
        self._taken_over = False
        self._quiet = False
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()

    @property
    def meter(self) -> Meter:
        """What has been counted."""
        return self._meter

    @property
    def kept(self) -> int:
        """Uploads that nobody has acknowledged yet."""
        return len(self._courier.outbox)

    @property
    def large_under_way(self) -> int:
        """Large messages that are on their way in."""
        return len(self._courier.assemblies)

    async def run(self) -> None:
        """Run until `stop`; also ends cleanly, though without a goodbye, when cancelled.

        Raises:
            TakenOverError: if a later process of the same source has come.
        """
        self._meter.start(self._clock.now())
        try:
            await self._bus.subscribe([f for listening in self._initial for f in listening.filters])
            await self._bus.connect(self._will, self._came_up)
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(work)
                    for work in (self._consume(), self._send(), self._report(), self._deliver())
                ]
                await self._stopping.wait()
                await self._drain()
                for task in tasks:
                    task.cancel()
        finally:
            self.quiesce()
            await self._bus.close()
            self._write_ledger()
            self._stopped.set()
        if self._taken_over:
            raise TakenOverError(
                f"another process of {self._encoder.src} was started after this one and goes on; "
                "give each process an id of its own"
            )

    def quiesce(self) -> None:
        """End timers, jobs and observations; messages are still received and acknowledged.

        Those that are retained, such as goodbyes of others that end too, move the core no more.
        """
        self._quiet = True
        self._schedule.end()

    async def stop(self) -> None:
        """Finish what is under way, say goodbye and disconnect; bounded in time."""
        self.quiesce()
        self._stopping.set()
        await self._stopped.wait()

    def observe(self, observation: object) -> list[Answer]:
        """Give the core what its source saw; returns what the core wants done about it."""
        return [] if self._quiet else self._take(Observed(observation), None)

    def _came_up(self) -> None:
        """Start the core; after a lost connection, take back what the will has said of us."""
        log.info("on the bus", role=self._core.role, id=self._core.id)
        self._courier.on_up()
        if self._started:
            self._say_status()
            return
        self._started = True
        for listening in self._initial:
            self._listens(listening)
        if not self._quiet:
            self._take(Started(), None)

    def _say_status(self) -> None:
        if self._presence.status is not None and not self._taken_over:
            self._apply([self._presence.status])

    async def _send(self) -> None:
        await self._queue.send(self._bus, self._listens)

    async def _deliver(self) -> None:
        await self._courier.run(
            Hooks(
                encode=self._encoder.encode,
                publish=self._publish,
                arrived=self._reception.on_whole,
                chunk=self._reception.on_chunk,
                failed=self._reception.on_incomplete,
                unsaved=lambda: self._meter.counts.update(unsaved=1),
                go_on=self._reception.on_delivery,
            )
        )

    async def _consume(self) -> None:
        async for delivery in self._bus.deliveries():
            self._meter.delivered += 1
            self._last_traffic = self._clock.now()
            self._reception.on_delivery(delivery)
            if self._queue.full:
                await self._queue.wait_room()
            await asyncio.sleep(0)  # timers and observations do not wait for a full inbox

    def _meet(self, heard: Heard) -> None:
        """Another process of our source: the younger goes on."""
        self._meter.counts[f"presence.{heard}"] += 1
        if heard == "successor":
            self._taken_over = True
            self.quiesce()
            self._stopping.set()
        else:
            self._say_status()

    def _take(self, taken: Input, delivery: Delivery | None) -> list[Answer]:
        if self._quiet and isinstance(taken, Received) and row_of(type(taken.message)).retain:
            return []  # who else leaves now is no news: what is retained is read at the next start
        accepted = self._acceptance(taken)
        try:
            return self._apply(self._core.receive(taken, self._clock.now()), accepted)
        except Exception as error:  # the one place: report, count, go on
            cause = error.__cause__ if isinstance(error, _NotSavedError) else error
            reason = f"{_kind(taken)}: {type(cause).__name__}: {cause}"
            log.exception("input failed", role=self._core.role, id=self._core.id, reason=reason)
            envelope = taken.envelope if isinstance(taken, Received) else None
            if accepted is not None and not self._is_over(accepted, error):
                envelope = None  # it comes again, unless its sender were told that it was refused
            self._refusals.refuse("failed", reason, delivery, envelope)
            return []

    def _is_over(self, accepted: Acceptance, error: Exception) -> bool:
        """Make durable that an upload has failed, for it would again; not if saving has failed."""
        if isinstance(error, _NotSavedError):
            return False
        try:
            self._accept(accepted, [])
        except _NotSavedError:
            log.exception("refusal not saved", role=self._core.role, id=self._core.id)
            return False
        return True

    def _acceptance(self, taken: Input) -> Acceptance | None:
        """What is to be kept with the effect of an upload of a peer."""
        if not isinstance(taken, Received) or not is_upload(
            taken.envelope, row_of(type(taken.message))
        ):
            return None
        return taken.envelope, self._courier.positions.record(taken.envelope, self._clock.now())

    def _apply(
        self, effects: Sequence[Effect], acceptance: Acceptance | None = None
    ) -> list[Answer]:
        """Save what must be durable, then do the rest in order."""
        now = self._clock.now()
        encoded = {
            index: self._encoder.encode(effect, now)
            for index, effect in enumerate(effects)
            if isinstance(effect, Publish)
        }
        uploads = [outgoing for outgoing in encoded.values() if outgoing.care == "outbox"]
        kept = self._courier.keep(uploads, self._settings.boot, now)
        records: list[Record] = [effect.record for effect in effects if isinstance(effect, Save)]
        if acceptance is not None and any(isinstance(effect, Defer) for effect in effects):
            self._meter.counts["deferred"] += 1
            acceptance = None
        try:
            self._accept(acceptance, [*records, *kept])
        except _NotSavedError:
            self._encoder.take_back(tuple(encoded.values()))
            raise
        self._courier.kept(kept, now)
        for index, effect in enumerate(effects):
            if isinstance(effect, Publish):
                self._post(effect, encoded[index], now)
            else:
                self._do(effect)
        return [effect for effect in effects if isinstance(effect, Answer)]

    def _do(self, effect: Effect) -> None:
        match effect:
            case Subscribe() | Unsubscribe():
                on = isinstance(effect, Subscribe)
                self._queue.put_listening(self._listening(effect, on=on))
            case Count():
                self._meter.counts[effect.counter] += effect.count
            case StartTimer() | CancelTimer() | StartJob():
                self._schedule.add(effect)
            case ConfirmUploads():
                self._courier.settle(effect.message)
            case Publish() | Save() | Actuate() | Delegate() | Defer():
                pass  # done by now, or for the caller
            case _:
                assert_never(effect)

    def _accept(self, acceptance: Acceptance | None, records: Sequence[Record]) -> None:
        """Make records durable, with the place of the upload that caused them."""
        if acceptance is not None:
            records = [*records, acceptance[1]]
        if records:
            try:
                self._store.save(records)
            except Exception as error:
                raise _NotSavedError from error
        if acceptance is not None:
            self._courier.positions.advance(acceptance[1])
            self._courier.owe(acceptance[0])

    def _listening(self, effect: Subscribe | Unsubscribe, *, on: bool) -> Listening:
        self._reception.want(effect.messages)
        filters = subscriptions(effect.messages, effect.to, self._settings.root)
        return Listening(tuple(filters), on)

    def _listens(self, listening: Listening) -> None:
        start, now = len(prefix(self._settings.root)), self._clock.now()
        filters = [topic_filter[start:] for topic_filter in listening.filters]
        if listening.on:
            self._ledger.subscribed(filters, now)
        else:
            self._ledger.unsubscribed(filters, now)
        self._courier.listens(listening)

    def _post(self, effect: Publish, outgoing: Outgoing, now: float) -> None:
        if effect.sim_time_s is not None:
            self._meter.reached(effect.sim_time_s)
        if outgoing.qos and not outgoing.retain and not self._quiet:
            self._ledger.sent(outgoing.stream, outgoing.seq, now, outgoing.ttl_s)
        self._presence.said(effect)
        self._courier.post(outgoing)

    def _publish(self, effect: Publish) -> None:
        now = self._clock.now()
        self._post(effect, self._encoder.encode(effect, now), now)

    async def _report(self) -> None:
        interval_s = self._settings.health_interval_s
        while True:
            await asyncio.sleep(interval_s)
            self._refusals.allow(interval_s)
            self._publish(Publish(self._meter.health(self._clock.now())))

    def _will(self) -> Will:
        """The retained part of the goodbye, numbered in a stream of its own."""
        now = self._clock.now()
        for effect in self._core.goodbye():
            if isinstance(effect, Publish) and row_of(type(effect.message)).retain:
                outgoing = self._encoder.encode(effect, now, stream=WILL_STREAM)
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
        if not self._taken_over:  # else it would take back what the other says
            self._apply(self._core.goodbye())
        with suppress(TimeoutError):
            async with asyncio.timeout(settings.goodbye_s if self._bus.up else 0):
                await self._queue.wait_idle()
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


class _NotSavedError(Exception):
    """The store did not keep the records; its error is the cause."""


def _kind(taken: Input) -> str:
    return type(taken.message).__name__ if isinstance(taken, Received) else type(taken).__name__
