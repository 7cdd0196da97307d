"""Gives one core its inputs, and does what it wants done about them.

For each input: records saved in one transaction, then messages queued for the bus, then the
delivery acknowledged, in this order. The core is called on the event loop and never blocks it. The
one broad `except` of the project is here: it reports the input as refused, counts it and goes on.
The driver alone holds the core, so nothing else is to be told if it must be another one.
"""

from collections.abc import Sequence
from typing import NamedTuple, assert_never

import structlog

from twintier.broker.bus import Delivery
from twintier.broker.clock import Clock
from twintier.protocol.catalogue import row_of
from twintier.protocol.envelope import Envelope
from twintier.runtime.batch import Batch, NotSavedError, save
from twintier.runtime.core import Core, Input, Received
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
        store: Store,
        clock: Clock,
        jobs: Jobs,
        incarnation: str,
    ) -> None:
        """Put the parts together.

        Args:
            core: the behaviour.
            out: of the process.
            into: of the process.
            store: where the core's records go.
            clock: wall time.
            jobs: started and ended by the caller.
            incarnation: of the process.
        """
        self.core = core
        self._out = out
        self._in = into
        self._store = store
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

    def take(self, taken: Input, delivery: Delivery | None) -> list[Answer]:
        """Give the core an input; returns what it wants done by its own source. Never raises."""
        if self.quiet and isinstance(taken, Received) and row_of(type(taken.message)).retain:
            return []  # who else leaves now is no news: what is retained is read at the next start
        accepted = self._acceptance(taken)
        try:
            return self.apply(self.core.receive(taken, self._clock.now()), accepted)
        except Exception as error:  # the one place: report, count, go on
            cause = error.__cause__ if isinstance(error, NotSavedError) else error
            reason = f"{_kind(taken)}: {type(cause).__name__}: {cause}"
            log.exception("input failed", role=self.core.role, id=self.core.id, reason=reason)
            envelope = taken.envelope if isinstance(taken, Received) else None
            if accepted is not None and not self._is_over(accepted, error):
                envelope = None  # it comes again, unless its sender were told that it was refused
            self._in.refusals.refuse("failed", reason, delivery, envelope)
            return []

    def apply(
        self, effects: Sequence[Effect], acceptance: Acceptance | None = None
    ) -> list[Answer]:
        """Save what must be durable, then do the rest in order.

        Raises:
            LocalProtocolError: if a message cannot be encoded; then nothing was done.
            NotSavedError: if the store fails; then nothing was done either.
        """
        out, now = self._out, self._clock.now()
        batch = Batch(effects, out.publisher, out.uploads, incarnation=self._incarnation, now=now)
        if acceptance is not None and any(isinstance(effect, Defer) for effect in effects):
            out.meter.counts["deferred"] += 1
            self._in.positions.defer(acceptance.envelope)
            acceptance = None  # so it stays with its sender, and comes again
        # One transaction: were the effect saved without the place of the upload, or the place
        # without the effect, a crash in between would double it or lose it.
        batch.save(self._store, [] if acceptance is None else [acceptance.record])
        if acceptance is not None:
            self._accept(acceptance)
        # Only now: nobody may hear of what a crash could still undo.
        batch.post(self._do)
        return [effect for effect in effects if isinstance(effect, Answer)]

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

    def _accept(self, acceptance: Acceptance) -> None:
        """The place of an upload is durable: its sender may be told."""
        self._in.positions.advance(acceptance.record)
        self._in.acknowledgements.owe(acceptance.envelope)

    def _is_over(self, accepted: Acceptance, error: Exception) -> bool:
        """Make durable that an upload has failed, for it would again; not if saving has failed."""
        if isinstance(error, NotSavedError):
            return False
        try:
            save(self._store, [accepted.record])
        except NotSavedError:
            log.exception("refusal not saved", role=self.core.role, id=self.core.id)
            return False
        self._accept(accepted)
        return True


def _kind(taken: Input) -> str:
    return type(taken.message).__name__ if isinstance(taken, Received) else type(taken).__name__
