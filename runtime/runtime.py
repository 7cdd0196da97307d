"""Runs one core on a bus: connects, receives, sends, reports, and ends in good order.

Timers, job results and observations never wait behind messages. What is done for each input stands
in `runtime.driver`; `runtime.build` puts the parts together.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

import structlog

from twintier.broker.bus import Bus, Will
from twintier.broker.clock import Clock
from twintier.protocol.catalogue import WILL_STREAM, row_of
from twintier.runtime.core import Observed, Started
from twintier.runtime.delivery.meter import Meter
from twintier.runtime.delivery.outgoing import Listening
from twintier.runtime.delivery.parts import WayIn, WayOut
from twintier.runtime.delivery.presence import TakenOverError
from twintier.runtime.delivery.receiver import Receiver
from twintier.runtime.driver import Driver
from twintier.runtime.effects import Answer, Publish
from twintier.runtime.settings import RuntimeSettings
from twintier.runtime.storage.store import StoreError
from twintier.runtime.succession import Succession

log = structlog.get_logger()


class Runtime:
    """One core, its bus and its jobs."""

    def __init__(
        self,
        bus: Bus,
        out: WayOut,
        into: WayIn,
        *,
        driver: Driver,
        receiver: Receiver,
        succession: Succession,
        clock: Clock,
        settings: RuntimeSettings,
    ) -> None:
        """Be ready to run; see `runtime.build` for what belongs together.

        Args:
            bus: not connected yet.
            out: the way out, over that bus.
            into: the way in.
            driver: of the core.
            receiver: gives deliveries to the driver.
            succession: knows other processes of our source.
            clock: wall time.
            settings: how the core is run.
        """
        self._bus = bus
        self._out = out
        self._in = into
        self._driver = driver
        self._receiver = receiver
        self._succession = succession
        self._clock = clock
        self._settings = settings
        self._last_traffic = 0.0
        self._started = False
        self._stopped = asyncio.Event()

    @property
    def meter(self) -> Meter:
        """What has been counted."""
        return self._out.meter

    @property
    def saved(self) -> bool:
        """Whether anything has been saved."""
        return self._out.saving.saved

    @property
    def failed(self) -> bool:
        """Whether a save has failed, so that nothing is taken any more."""
        return self._out.saving.failed is not None

    @property
    def kept(self) -> int:
        """Uploads that nobody has acknowledged yet."""
        return len(self._out.outbox)

    @property
    def large_under_way(self) -> int:
        """Large messages that are on their way in."""
        return len(self._in.large.assemblies)

    async def run(self) -> None:
        """Run until `stop`; also ends cleanly, though without a goodbye, when cancelled.

        Raises:
            TakenOverError: if a later process of the same source has come.
            NotSavedError: if a save has failed; nothing that followed from it was said.
            StoreError: if the account of messages cannot be written.
        """
        saving = self._out.saving
        self._out.meter.start(self._clock.now())
        try:
            initial = self._in.subscriptions.initial
            await self._bus.subscribe([f for listening in initial for f in listening.filters])
            await self._bus.connect(self._will, self._came_up)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work) for work in self._work()]
                await self._succession.stopping.wait()
                if saving.failed is None:
                    await self._drain()
                if saving.failed is not None:
                    await self._leave()
                for task in tasks:
                    task.cancel()
        finally:
            await self._end()
        if saving.failed is not None:
            raise saving.failed
        if self._succession.taken_over:
            raise TakenOverError(
                f"another process of {self._out.src} was started after this one and goes on; "
                "give each process an id of its own"
            )

    def quiesce(self) -> None:
        """End timers, jobs and observations; messages are still received and acknowledged.

        Those that are retained, such as goodbyes of others that end too, move the core no more.
        """
        self._driver.quiesce()

    async def stop(self) -> None:
        """Finish what is under way, say goodbye and disconnect; bounded in time."""
        self.quiesce()
        self._succession.stopping.set()
        await self._stopped.wait()

    def observe(self, observation: object) -> list[Answer]:
        """Give the core what its source saw; returns what the core wants done about it."""
        driver = self._driver
        return [] if driver.quiet else driver.take(Observed(observation), None)

    def _work(self) -> list[Coroutine[None, None, None]]:
        """What goes on side by side until the end."""
        work = [
            self._consume(),
            self._out.queue.send(self._bus, self._listens),
            self._report(),
            self._out.uploads.run(),
            self._receiver.run(),
            self._in.acknowledgements.run(),
            self._watch_saving(),
        ]
        if self._out.bulk is not None:
            work.append(self._out.bulk.run(self._in.large.listens, self._receiver.on_chunk))
        return work

    def _came_up(self) -> None:
        """Start the core; after a lost connection, say again what the broker may have lost."""
        core = self._driver.core
        log.info("on the bus", role=core.role, id=core.id)
        self._out.uploads.on_up()
        if self._started:
            self._succession.say_retained()
            return
        self._started = True
        for listening in self._in.subscriptions.initial:
            self._listens(listening)
        if not self._driver.quiet:
            self._driver.take(Started(), None)

    async def _consume(self) -> None:
        async for delivery in self._bus.deliveries():
            self._out.meter.delivered += 1
            self._last_traffic = self._clock.now()
            self._receiver.on_delivery(delivery)
            if self._out.queue.full:
                await self._out.queue.wait_room()
            await self._out.saving.wait_room()
            await asyncio.sleep(0)  # timers and observations do not wait for all that waits

    def _listens(self, listening: Listening) -> None:
        self._in.subscriptions.in_force(listening, self._clock.now())
        self._in.large.listens(listening)

    async def _report(self) -> None:
        interval_s = self._settings.health_interval_s
        while True:
            await asyncio.sleep(interval_s)
            self._in.refusals.allow(interval_s)
            self._out.publisher.publish(Publish(self._out.meter.health(self._clock.now())))

    async def _watch_saving(self) -> None:
        failed = await self._out.saving.wait_failed()
        core = self._driver.core
        log.error("not saved", role=core.role, id=core.id, reason=str(failed))
        self._driver.abandon()
        self._succession.stopping.set()

    def _will(self) -> Will:
        """The retained part of the goodbye, numbered in a stream of its own."""
        now, effect = self._clock.now(), self._goodbye()
        outgoing = self._out.publisher.encode(effect, now, stream=WILL_STREAM)
        return Will(outgoing.topic, outgoing.payload)

    def _goodbye(self) -> Publish:
        """The status that others are left with."""
        core = self._driver.core
        for effect in core.goodbye():
            if isinstance(effect, Publish) and row_of(type(effect.message)).retain:
                return effect
        raise TypeError(f"goodbye of {core.role} {core.id} retains no status")

    async def _end(self) -> None:
        """Let go of everything; who waits in `stop` goes on whatever fails here."""
        failed = self._out.saving.failed is not None
        try:
            if not failed:
                self.quiesce()
            await self._bus.close()
            if not failed:  # as after a crash, nobody knows what has arrived
                self._write_ledger()
        finally:
            self._stopped.set()

    async def _drain(self) -> None:
        settings, loop = self._settings, asyncio.get_running_loop()
        deadline = loop.time() + settings.drain_s
        self._last_traffic = self._clock.now()
        while self._bus.up and loop.time() < deadline:
            idle_s = self._clock.now() - self._last_traffic
            if idle_s >= settings.drain_idle_s:
                break
            await asyncio.sleep(min(settings.drain_idle_s - idle_s, deadline - loop.time()))
        self._out.ledger.ended(self._clock.now())
        if not self._succession.taken_over:  # else it would take back what the other says
            self._driver.apply(self._driver.core.goodbye())
        with suppress(TimeoutError):
            async with asyncio.timeout(settings.save_s):
                await self._out.saving.wait_idle()
        await self._flush()

    async def _leave(self) -> None:
        """Say that nobody is here, for the core is to be another one."""
        now, effect = self._clock.now(), self._goodbye()
        self._out.publisher.post(effect, self._out.publisher.encode(effect, now))
        await self._flush()

    async def _flush(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.goodbye_s if self._bus.up else 0):
                await self._out.queue.wait_idle()
                await self._bus.flush()

    def _write_ledger(self) -> None:
        out, incarnation = self._out, self._settings.incarnation
        counts, dropped = out.meter.messages, out.meter.dropped
        written = out.ledger.written(out.src, incarnation, self._clock.now(), counts, dropped)
        try:
            out.ledger.write(written)
        except OSError as error:
            raise StoreError(
                f"the account of messages {out.ledger.path} cannot be written: {error.strerror}; "
                "name another folder with --ledgers"
            ) from error
