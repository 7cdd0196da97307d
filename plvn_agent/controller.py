"""One INMF in one PLVN: what decides its slots, what is uploaded of them, which orders it obeys.

What acts is the newest individual model, or the INMF's classical baseline before there is one, when
the twin orders it, and where the model's code fails. Nothing here is shared with another INMF.
"""

from twintier.inmf.contract import Inmf, Row
from twintier.plvn_agent.orders import Engine, UnfitModelError, model_of, refusal
from twintier.plvn_agent.ownership import Order, Ownership
from twintier.plvn_agent.policy import Driven, Finished, NoActionError, SlotPolicy
from twintier.plvn_agent.slots import InmfSlot
from twintier.plvn_agent.uploads import Batch, Summary
from twintier.protocol.columns import ColumnsError, check_row
from twintier.protocol.ids import InmfId
from twintier.protocol.messages import BaselineOrdered, ModelApplied, ModelDispatched
from twintier.runtime.effects import Actuate, Count, Delegate, Effect, Publish

ERRORS = "inmf_errors"
NO_MODEL = "0" * 64


class InmfController:
    """The agent's side of one INMF."""

    def __init__(self, inmf: Inmf, owner: Ownership, engine: Engine) -> None:
        """Begin with the baseline."""
        self.id = InmfId(inmf.spec.inmf)
        self.inmf = inmf
        self.managed = True
        """Whether the owner knows the INMF; if not, nothing of it is uploaded."""
        self.policy = SlotPolicy(inmf)
        self.order: Order | None = None
        """The order that this process obeys."""
        self.batch_slots = inmf.spec.windows.batch
        self._owner = owner
        self._engine = engine
        self._slot: int | None = None
        """The slot that waits for its outcome."""
        self._lent: Order | None = None
        """The order in force when the policy was lent."""
        self._next_slot = 0
        self._sim_time_s = 0.0
        self._batch = Batch(inmf)
        self._summary = Summary(inmf)

    @property
    def uploads(self) -> bool:
        """Whether slots are uploaded."""
        return self.managed and self._owner.granted

    # Slots

    def check(self, row: Row) -> Row | None:
        """Measured fields held to what the INMF says; None if they are not that."""
        try:
            return check_row(row, self.inmf.measured)
        except ColumnsError:
            return None

    def decide(self, slot: InmfSlot, sim_time_s: float) -> list[Effect]:
        """The action of a slot that was checked; none if even the baseline fails."""
        self._slot, self._next_slot, self._sim_time_s = slot.slot, slot.slot + 1, sim_time_s
        try:
            action = self.policy.decide(slot.row)
        except NoActionError:
            self._slot = None
            return self._errors()
        numbers = tuple(float(number) for number in action)
        return [Actuate(self.id, numbers), *self._errors()]

    def acted(self, outcome: InmfSlot) -> list[Effect]:
        """Learn what the slot was worth; upload what is full."""
        slot, self._slot = self._slot, None
        if slot != outcome.slot:
            return [Count("measurements_unmatched")]
        try:
            finished = self.policy.after(outcome.row)
        except ColumnsError:
            return [Count(ERRORS)]
        return [*self._errors(), *self._record(slot, finished)]

    def lend(self) -> Delegate:
        """The policy, for a bulk source that decides slots itself."""
        self._lent = self.order
        return Delegate(self.id, self.policy.fork())

    def driven(self, driven: Driven, sim_time_s: float) -> list[Effect]:
        """Take the policy back with the slots that it has decided; a newer order stays in force."""
        kept, self.policy = self.policy, driven.policy
        if self.order != self._lent:
            self.policy.obey(kept.model, kept.version)
        self._sim_time_s = sim_time_s
        self._next_slot = driven.slot_first + len(driven.finished)
        effects = self._errors()
        for slot, finished in enumerate(driven.finished, driven.slot_first):
            effects += self._record(slot, finished)
        return effects

    def _record(self, slot: int, finished: Finished) -> list[Effect]:
        """Count a slot; batches and summaries hold slots of one policy only."""
        if not self.uploads:
            return []
        effects: list[Effect] = []
        if not self._batch.fits(slot, finished):
            effects += self._upload_batch()
        if not self._summary.fits(finished):
            effects += self._upload_summary()
        self._batch.add(slot, finished)
        self._summary.add(slot, finished)
        if len(self._batch.rows) >= self.batch_slots or finished.tripped:
            effects += self._upload_batch()
        if self._summary.slots >= self.inmf.spec.windows.performance:
            effects += self._upload_summary()
        return [*effects, Count("guard_trips")] if finished.tripped else effects

    def _upload_batch(self) -> list[Effect]:
        batch = self._batch
        if not batch.rows:
            return []
        self._batch = batch.following()
        try:
            message = batch.trajectories()
        except ColumnsError:
            return [Count(ERRORS)]
        return [self._owner.publish(message, inmf=self.id, sim_time_s=self._sim_time_s)]

    def _upload_summary(self) -> list[Effect]:
        summary = self._summary
        if not summary.slots:
            return []
        self._summary = Summary(self.inmf)
        return [self._owner.publish(summary.report(), inmf=self.id)]

    def _errors(self) -> list[Effect]:
        """What went wrong in the INMF's code since somebody last looked."""
        errors, self.policy.errors = self.policy.errors, 0
        return [Count(ERRORS, errors)] if errors else []

    # Orders

    def on_order(self, order: ModelDispatched | BaselineOrdered, owner_boot: str) -> list[Effect]:
        """Act by another model, or by none, from the next slot on."""
        given = Order(owner_boot, order.version)
        if given < self._owner.newest(self.id):  # by an ended process, or sent before another
            return [Count("models_outdated")]
        if given == self.order:  # the answer was lost: say it again
            return [self._applied(order)]
        model = None
        if isinstance(order, ModelDispatched):
            plvn = self._owner.plvn
            try:
                model = model_of(order, self.inmf, self._engine, plvn=plvn, owner_boot=owner_boot)
            except UnfitModelError as error:
                refused = refusal(order, error.code, str(error))
                return [self._owner.publish(refused, inmf=self.id), Count("models_refused")]
            self.batch_slots = order.trajectory_slots
        uploads = [*self._upload_batch(), *self._upload_summary()]
        self.policy.obey(model, order.version)
        self.order = given
        return [*uploads, self._owner.obey(self.id, given), self._applied(order)]

    def _applied(self, order: ModelDispatched | BaselineOrdered) -> Publish:
        model = order.model if isinstance(order, ModelDispatched) else NO_MODEL
        applied = ModelApplied(
            inmf=self.id, version=order.version, model=model, slot_first=self._next_slot
        )
        return self._owner.publish(applied, inmf=self.id)
