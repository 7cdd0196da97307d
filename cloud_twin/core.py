"""The cloud twin's behaviour: register and place PLVNs, categorise, train, answer fetches.

Late, repeated and reordered messages are normal inputs: what carries an old fence or an old
iteration is counted and does nothing else. Everything that must survive a restart is saved before
it is published.
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Literal

from twintier.cloud_twin.categories import InvalidCategoryError
from twintier.cloud_twin.keys import Placement, RoundDeadline, RoundPause, Timer
from twintier.cloud_twin.librarian import Librarian
from twintier.cloud_twin.library import MetaModel
from twintier.cloud_twin.meta_training import Training
from twintier.cloud_twin.ownership import Ownership
from twintier.cloud_twin.planner import Phase, Planner, TrainingRecord
from twintier.cloud_twin.registry import PlvnRecord, Registry
from twintier.cloud_twin.rounds import Rounds
from twintier.cloud_twin.settings import CloudSettings
from twintier.protocol.ids import SUPER_CATEGORY, CategoryKey, EdgeId, PlvnId
from twintier.protocol.messages import (
    AttributesReported,
    CloudStatusReported,
    EdgeStatusReported,
    GradientsComputed,
    GradientsFailed,
    Grant,
    MessageReturned,
    MetaModelRequested,
    RegistrationRequested,
    TwinRegistered,
)
from twintier.runtime.core import Input, JobDone, JobFailed, Observed, Received, Started, TimerFired
from twintier.runtime.effects import (
    CancelTimer,
    ConfirmUploads,
    Count,
    Effect,
    Publish,
    Save,
    StartTimer,
    count_of,
)

CloudRecord = PlvnRecord | MetaModel | TrainingRecord
STATUS_ITERATIONS = 5


class CloudCore:
    """One cloud twin."""

    role: Literal["cloud"] = "cloud"
    id = "cloud"

    def __init__(
        self, planner: Planner, settings: CloudSettings, records: Sequence[CloudRecord] = ()
    ) -> None:
        self.settings = settings
        self.planner = planner
        self.library, self.lattice = planner.library, planner.lattice
        self.registry = Registry()
        self.ownership = Ownership(settings, self.registry, planner.blueprints)
        self.librarian = Librarian(self.registry, self.library, self.lattice)
        self.rounds = Rounds(settings, self.registry, planner)
        self.phase: Phase = "planning" if settings.planning_s > 0 else "online"
        planner.online = self.phase == "online"
        self.planning_begun = False
        for record in records:
            self._restore(record)

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        """Take an input and say what shall happen."""
        match event:
            case Received():
                return self._on_message(event, now)
            case TimerFired(key=key):
                return self._on_timer(key, now)
            case Started():
                return [
                    *self._on_lease(),
                    *self.ownership.on_started(),
                    *self.ownership.prolong(),
                    *self.librarian.announce(),
                ]
            case JobDone() | JobFailed() | Observed():
                return []

    def goodbye(self) -> Sequence[Effect]:
        """Say that the cloud twin leaves."""
        return [self._status("offline")]

    def _on_message(self, received: Received, now: float) -> Sequence[Effect]:  # noqa: C901  # dispatch
        address, envelope = received.address, received.envelope
        match received.message:
            case RegistrationRequested() as request if address.plvn:
                return self._on_registration(address.plvn, request, envelope.id, now)
            case EdgeStatusReported() as status if address.edge:
                told = self.ownership.on_edge_status(
                    address.edge, status, received.envelope.boot, now
                )
                return [*told, *self._skip_gone(now)]
            case TwinRegistered(grant=grant) if address.edge:
                return self._on_twin_registered(address.edge, grant)
            case AttributesReported() as attributes if address.edge and address.plvn:
                if not self.registry.is_owner(address.plvn, address.edge, envelope.fence):
                    return [Count("stale_fence")]
                return self._on_attributes(address.plvn, attributes, now)
            case GradientsComputed() as gradients if address.edge:
                return self._on_gradients(gradients, address.edge, now)
            case GradientsFailed() as failure if address.edge:
                return self._on_gradients_failed(failure, address.edge, now)
            case MetaModelRequested() as request if address.edge:
                return [self.librarian.offer(address.edge, request, envelope.id)]
            case MessageReturned() as returned:
                return [ConfirmUploads(returned), count_of(returned)]
            case _:  # statuses of agents and reports of edge servers are kept for those who watch
                return []

    def _on_timer(self, key: Hashable, now: float) -> Sequence[Effect]:  # noqa: C901  # dispatch
        match key:
            case Timer.LEASE:
                return [*self._on_lease(), *self._skip_gone(now)]
            case Timer.GRANTS:
                orphans = self.ownership.replace_orphans(now)
                return [*orphans, *self.ownership.prolong(), *self._skip_gone(now)]
            case Timer.SERVERS:
                return [*self.ownership.on_waited(now), *self._skip_gone(now)]
            case Timer.PLANNING_PAUSE:
                return self._begin_planning(now)
            case Timer.SUPER:
                return self._end_super(now)
            case Timer.PLANNING:
                return self._end_planning(now)
            case Placement(plvn=plvn):
                return self.ownership.place_again(plvn)
            case RoundDeadline(job=job):
                return self._close_round(job, now)
            case RoundPause(job=job):
                return self.rounds.start(job, now)
            case _:
                return []

    def _on_registration(
        self, plvn: PlvnId, request: RegistrationRequested, cid: bytes, now: float
    ) -> Sequence[Effect]:
        effects = self.ownership.on_registration(plvn, request, cid, now)
        record = self.registry.plvns.get(plvn)
        if record is not None:
            self.planner.request(plvn, record.requested_inmfs)
        return effects

    def _on_twin_registered(self, edge: EdgeId, grant: Grant) -> Sequence[Effect]:
        before = self.registry.confirmed.get(grant.plvn)
        effects = self.ownership.on_twin_registered(edge, grant.plvn, grant.fence)
        confirmed = self.registry.confirmed.get(grant.plvn) != before
        return [*effects, *(self._await_planning() if confirmed else [])]

    def _on_lease(self) -> list[Effect]:
        return [self._status("online"), StartTimer(Timer.LEASE, self.settings.lease_s / 3)]

    def _status(self, state: Literal["online", "offline"]) -> Publish:
        done, planned = self.planner.progress()
        status = CloudStatusReported(
            state=state,
            lease_s=self.settings.lease_s,
            phase=self.phase,
            iterations=done,
            iterations_planned=planned,
        )
        return Publish(status)

    # Categories and the library

    def _on_attributes(
        self, plvn: PlvnId, attributes: AttributesReported, now: float
    ) -> Sequence[Effect]:
        self.registry.attributes[plvn] = attributes
        category = CategoryKey(attributes.category)
        record = self.registry.plvns[plvn]
        if record.category == category and plvn in self.registry.sent_matches:
            return []
        try:
            known = self.lattice.place(plvn, category)
        except InvalidCategoryError:
            return [Count("invalid_category")]
        changed = replace(record, category=category)
        self.registry.plvns[plvn] = changed
        save: list[Effect] = [] if changed == record else [Save(changed)]
        training = self._open_trainings(now) if self.phase == "online" else self._await_planning()
        return [*save, *self.librarian.assign(plvn, known=known), *training]

    # Planning and meta training

    def _await_planning(self) -> list[Effect]:
        """Planning begins when the expected PLVNs are there, or when no more come for a while."""
        if self.phase != "planning" or self.planning_begun:
            return []
        with_category = [p for p, r in self.registry.plvns.items() if r.category is not None]
        ready = sum(p in self.registry.confirmed for p in with_category)
        if not ready:
            return []
        enough = 0 < self.settings.expected_plvns <= ready
        return [StartTimer(Timer.PLANNING_PAUSE, 0.0 if enough else self.settings.planning_pause_s)]

    def _begin_planning(self, now: float) -> list[Effect]:
        if self.planning_begun or self.phase != "planning":
            return []
        self.planning_begun = True
        budget = self.settings.planning_s
        deadlines: list[Effect] = [
            StartTimer(Timer.SUPER, budget * self.settings.super_share),
            StartTimer(Timer.PLANNING, budget),
        ]
        effects = [*deadlines, *self._open_trainings(now)]
        return [*effects, *([] if self.planner.trainings else self._go_online(now))]

    def _end_super(self, now: float) -> list[Effect]:
        """The other categories need the rest of the planning time."""
        if self.phase != "planning":
            return []
        running = [t for t in self.planner.trainings.values() if t.category == SUPER_CATEGORY]
        ended = [t for t in running if t.iteration >= self.settings.min_iterations]
        return [effect for t in ended for effect in self._finish(t, now)]

    def _end_planning(self, now: float) -> list[Effect]:
        if self.phase != "planning":
            return []
        minimum = self.settings.min_iterations
        ended = [t for t in self.planner.trainings.values() if t.iteration >= minimum]
        finished = [effect for t in ended for effect in self._finish(t, now, reopen=False)]
        return finished if self._is_online() else [*finished, *self._go_online(now)]

    def _is_online(self) -> bool:
        return self.phase == "online"

    def _go_online(self, now: float) -> list[Effect]:
        """Planning is over; what needs true slots begins to be trained."""
        self.phase, self.planner.online = "online", True
        ended: list[Effect] = [CancelTimer(Timer.SUPER), CancelTimer(Timer.PLANNING)]
        return [self._status("online"), *ended, *self._open_trainings(now)]

    def _open_trainings(self, now: float) -> list[Effect]:
        effects = [e for model in self.planner.untrained() for e in self._publish_model(model)]
        fresh = self.planner.open_trainings()
        return [*effects, *(e for t in fresh for e in self.rounds.start(t.job, now))]

    def _skip_gone(self, now: float) -> list[Effect]:
        """A round does not wait for an edge server that is known to be gone."""
        effects, ended = self.rounds.skip_gone(now)
        return [*effects, *(effect for job in ended for effect in self._close_round(job, now))]

    def _on_gradients(self, message: GradientsComputed, edge: EdgeId, now: float) -> list[Effect]:
        effects, complete = self.rounds.take(message, edge)
        return [*effects, *(self._close_round(message.job, now) if complete else [])]

    def _on_gradients_failed(
        self, message: GradientsFailed, edge: EdgeId, now: float
    ) -> list[Effect]:
        effects, complete = self.rounds.miss(message, edge)
        return [*effects, *(self._close_round(message.job, now) if complete else [])]

    def _close_round(self, job: str, now: float) -> list[Effect]:
        closed = self.rounds.close(job, now)
        training = closed.advanced
        if training is None:
            return closed.effects
        if training.finished():
            return [*closed.effects, *self._finish(training, now)]
        due = training.iteration % STATUS_ITERATIONS == 0
        status = [self._status("online")] if due else []
        return [*closed.effects, *status, *self.rounds.start(job, now)]

    def _finish(self, training: Training, now: float, *, reopen: bool = True) -> list[Effect]:
        """Put the model into the library, tell everyone whom it fits, and go on."""
        model = self.planner.close_training(training.job)
        saved, *told = self._publish_model(model)
        effects: list[Effect] = [saved, CancelTimer(RoundDeadline(training.job)), *told]
        if reopen:
            effects += self._open_trainings(now)
        if self.phase == "planning" and not self.planner.trainings and not self.planner.wanted():
            effects += self._go_online(now)
        return effects

    def _publish_model(self, model: MetaModel) -> list[Effect]:
        """Keep a model, then tell everyone whom it fits."""
        effects: list[Effect] = [Save(model), self.librarian.indexed(model)]
        for plvn in sorted(self.registry.plvns):
            effects += self.librarian.assign(plvn)
        return effects

    def _restore(self, record: CloudRecord) -> None:
        match record:
            case PlvnRecord():
                self.registry.plvns[record.plvn] = record
                self.planner.request(record.plvn, record.requested_inmfs)
                if record.category is not None:
                    self.lattice.place(record.plvn, record.category)
            case MetaModel():
                self.library.add(self.planner.restored(record))
            case TrainingRecord():
                self.planner.checkpoints[record.inmf, record.category] = record
