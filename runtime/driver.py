"""Gives one core its inputs, and does what it wants done about them.

For each input: records saved in one transaction, then messages queued for the bus, then the
delivery acknowledged, in this order. The core is called on the event loop and never blocks it: it
may take the next input while the disk keeps the records of the last. The one broad `except` of the
project is here: it reports the input as refused, counts it and goes on.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, assert_never

import structlog

from twintier.broker.bus import Delivery
from twintier.broker.clock import Clock
from twintier.protocol.catalogue import row_of
from twintier.protocol.envelope import Envelope
from twintier.runtime.core import Core, Input, Received
from twintier.runtime.delivery.outgoing import Outgoing
from twintier.runtime.delivery.parts import WayIn, WayOut
from twintier.runtime.delivery.positions import is_upload
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

log = structlog.get_logger()


class Acceptance(NamedTuple):
    """An upload of a peer, and the record that it has had its effect."""

    envelope: Envelope
    record: Accepted


class Driver:
    """One core and what surrounds it."""

    def __init__(
        self,
        core: Core,
        out: WayOut,
        into: WayIn,
        *,
        clock: Clock,
        jobs: Jobs,
        incarnation: str,
    ) -> None:
        """Put the parts together.

        Args:
            core: the behaviour.
            out: of the process.
            into: of the process.
            clock: wall time.
            jobs: started and ended by the caller.
            incarnation: of the process.
        """
        self.core = core
        self._out = out
        self._in = into
        self._clock = clock
        self._incarnation = incarnation
        self._schedule = Schedule(jobs, lambda taken: self.take(taken, None))
        self.quiet = False
        """Whether timers, jobs and observations have ended."""

    def quiesce(self) -> None:
        """End timers and jobs; messages are still taken, but for those that are retained."""
        self.quiet = True
        self._out.publisher.quiet = True
        self._schedule.end()

    def abandon(self) -> None:
        """Forget the core, which is ahead of its store: it takes nothing any more."""
        self.quiet = True
        self._schedule.abandon()

    def take(self, taken: Input, delivery: Delivery | None) -> list[Answer]:
        """Give the core an input; returns what it wants done by its own source. Never raises."""
        if self._out.saving.failed is not None:
            return []
        if self.quiet and isinstance(taken, Received) and row_of(type(taken.message)).retain:
            return []  # who else leaves now is no news: what is retained is read at the next start
        acceptance = self._acceptance(taken)
        try:
            return self.apply(self.core.receive(taken, self._clock.now()), acceptance)
        except Exception as error:  # the one place: report, count, go on
            reason = f"{_kind(taken)}: {type(error).__name__}: {error}"
            log.exception("input failed", role=self.core.role, id=self.core.id, reason=reason)
            if acceptance is not None:  # it is over, for it would fail again
                self._save([], acceptance, lambda: None)
            envelope = taken.envelope if isinstance(taken, Received) else None
            self._in.refusals.refuse("failed", reason, delivery, envelope)
            return []

    def apply(
        self, effects: Sequence[Effect], acceptance: Acceptance | None = None
    ) -> list[Answer]:
        """Save what must be durable, then do the rest in order.

        Raises:
            LocalProtocolError: if a message cannot be encoded; then nothing was done.
        """
        out, now = self._out, self._clock.now()
        publishes = [effect for effect in effects if isinstance(effect, Publish)]
        outgoings = out.publisher.encode_all(publishes, now)
        if acceptance is not None and any(isinstance(effect, Defer) for effect in effects):
            out.meter.counts["deferred"] += 1
            self._in.positions.defer(acceptance.envelope)
            acceptance = None  # so it stays with its sender, and comes again
        kept = [outgoing for outgoing in outgoings if outgoing.guarantee == "outbox"]
        records = [effect.record for effect in effects if isinstance(effect, Save)]
        records += out.uploads.keep(kept, self._incarnation, now)
        self._save(records, acceptance, partial(self._do_all, effects, outgoings))
        return [effect for effect in effects if isinstance(effect, Answer)]

    def _save(
        self, records: Sequence[Record], acceptance: Acceptance | None, then: Callable[[], None]
    ) -> None:
        """Make records durable, with the place of an upload, and then do something.

        One transaction: were the effect saved without the place of the upload, or the place
        without the effect, a crash in between would double it or lose it.
        """
        if acceptance is not None:
            self._in.positions.advance(acceptance.record)
            self._in.acknowledgements.owe(acceptance.envelope)
            records = [*records, acceptance.record]
        self._out.saving.add(records, then)

    def _do_all(self, effects: Sequence[Effect], outgoings: Sequence[Outgoing]) -> None:
        """Nobody hears of anything before now, which a crash could still have undone."""
        encoded = iter(outgoings)
        for effect in effects:
            if isinstance(effect, Publish):
                self._out.publisher.post(effect, next(encoded))
            else:
                self._do(effect)

    def _do(self, effect: Effect) -> None:
        out = self._out
        match effect:
            case Subscribe() | Unsubscribe():
                out.queue.put_listening(self._in.subscriptions.changed(effect))
            case Count():
                out.meter.counts[effect.counter] += effect.count
            case StartTimer() | CancelTimer() | StartJob():
                self._schedule.add(effect)
            case ConfirmUploads():
                out.uploads.confirm(effect.message)
            case Publish() | Save() | Actuate() | Delegate() | Defer():
                pass  # done by now, or for the caller
            case _:
                assert_never(effect)

    def _acceptance(self, taken: Input) -> Acceptance | None:
        """What is to be kept with the effect of an upload of a peer."""
        if not isinstance(taken, Received) or not is_upload(
            taken.envelope, row_of(type(taken.message))
        ):
            return None
        record = self._in.positions.record(taken.envelope, self._clock.now())
        return Acceptance(taken.envelope, record)


def _kind(taken: Input) -> str:
    return type(taken.message).__name__ if isinstance(taken, Received) else type(taken).__name__
