"""The cloud twin's behaviour: register and place PLVNs, categorise, train, answer fetches.

Late, repeated and reordered messages are normal inputs: what carries an old fence or an old
iteration is tallied and does nothing else. Everything that must survive a restart is saved before
it is published.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from broker.core import Input, JobDone, JobFailed, Observed, Received, Started, TimerFired
from broker.effects import CancelTimer, Effect, Publish, Save, StartTimer, Tally
from cloud_twin.categories import InvalidCategoryError, candidates
from cloud_twin.library import MetaModel
from cloud_twin.meta_training import MetaParameters, Training
from cloud_twin.placement import EdgeServer
from cloud_twin.planner import Phase, Planner, TrainingRecord
from cloud_twin.registry import PlvnRecord, Registry
from cloud_twin.settings import CloudSettings
from protocol.address import Address
from protocol.ids import SUPER_CATEGORY, CategoryKey, EdgeId, InmfId, PlvnId
from protocol.messages import (
    AttributesReported,
    CategoryAssigned,
    CloudStatusReported,
    EdgeStatusReported,
    GradientsComputed,
    GradientsFailed,
    GrantRenewed,
    LibraryIndexed,
    MetaModelMatch,
    MetaModelMissing,
    MetaModelOffered,
    MetaModelRequested,
    MetaRoundStarted,
    RegistrationGranted,
    RegistrationRefused,
    RegistrationRequested,
    TwinPlaced,
    TwinRegistered,
)
from protocol.tensors import Tensors

CloudRecord = PlvnRecord | MetaModel | TrainingRecord
STATUS_ITERATIONS = 5


def category_digest(category: CategoryKey) -> str:
    """A category as one level of a topic."""
    return hashlib.blake2b(category.encode(), digest_size=8).hexdigest()


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
        self.phase: Phase = "planning" if settings.planning_s > 0 else "online"
        self.planning_begun = False
        for record in records:
            self._restore(record)

    def receive(self, message: Input, now: float) -> Sequence[Effect]:
        """Take an input and say what shall happen."""
        match message:
            case Received():
                return self._on_message(message, now)
            case TimerFired(key=key):
                return self._on_timer(key, now)
            case Started():
                return [*self._on_lease(), *self._on_grants(), *self._announce_library()]
            case JobDone() | JobFailed() | Observed():
                return []

    def goodbye(self) -> Sequence[Effect]:
        """Say that the cloud twin leaves."""
        return [self._status("offline")]

    def _on_message(self, received: Received, now: float) -> Sequence[Effect]:  # noqa: C901  # dispatch
        address = received.address
        match received.message:
            case RegistrationRequested() as request if address.plvn:
                return self._on_registration(address.plvn, request, received.envelope.id, now)
            case EdgeStatusReported() as status if address.edge:
                return self._on_edge_status(address.edge, status, received.envelope.boot, now)
            case TwinRegistered(grant=grant) if address.edge:
                return self._on_twin_registered(address.edge, grant.plvn, grant.fence)
            case AttributesReported() as attributes if address.edge and address.plvn:
                if not self.registry.is_owner(address.plvn, address.edge, received.envelope.fence):
                    return [Tally("stale_fence")]
                return self._on_attributes(address.plvn, attributes, now)
            case GradientsComputed() as gradients:
                return self._on_gradients(gradients, now)
            case GradientsFailed() as failure:
                return self._on_gradients_failed(failure, now)
            case MetaModelRequested() as request if address.edge:
                return [self._offer(address.edge, request, received.envelope.id)]
            case _:  # statuses of agents and reports of edge servers are kept for those who watch
                return []

    def _on_timer(self, key: str, now: float) -> Sequence[Effect]:  # noqa: C901  # dispatch
        kind, _, rest = key.partition("/")
        match kind:
            case "lease":
                return self._on_lease()
            case "grants":
                return [*self._replace_orphans(now), *self._on_grants()]
            case "place":
                return self._place_again(PlvnId(rest))
            case "settle":
                return self._begin_planning(now)
            case "super":
                return self._end_super(now)
            case "planning":
                return self._end_planning(now)
            case "round":
                return self._close_round(rest, now)
            case "pause":
                return self._start_round(rest, now)
            case _:
                return []

    # Registration and ownership

    def _on_registration(
        self, plvn: PlvnId, request: RegistrationRequested, cid: bytes, now: float
    ) -> Sequence[Effect]:
        to = Address(plvn=plvn)
        unknown = [i for i in request.requested_inmfs if i not in self.planner.blueprints]
        if unknown:
            known = ", ".join(sorted(self.planner.blueprints))
            reason = f"INMF {unknown[0]!r} is not managed here; known are {known}"
            refusal = RegistrationRefused(code="unknown_inmf", reason=reason, retry_s=60.0)
            return [Publish(refusal, to, cid=cid)]
        record = self.registry.place(plvn, request.site, request.requested_inmfs, now)
        if record is None:
            return [Publish(self._no_server(), to, cid=cid), Tally("registrations_refused")]
        before = self.registry.plvns.get(plvn)
        self.registry.plvns[plvn] = record
        changed: list[Effect] = [Save(record)] if record != before else []
        if before is not None and before.requested_inmfs != record.requested_inmfs:
            self.registry.sent_matches.pop(plvn, None)
        if self.registry.confirmed.get(plvn) == record.fence:
            changed += [self._placement(plvn)] if changed else []
            return [*changed, self._granted(plvn, cid)]
        self.registry.waiting[plvn] = cid  # granted once the edge server listens
        return [*changed, *self._place_again(plvn)]

    def _granted(self, plvn: PlvnId, cid: bytes) -> Publish:
        grant = self.registry.grant(plvn, self.settings.grant_valid_s)
        granted = RegistrationGranted(grant=grant)
        return Publish(granted, Address(plvn=plvn), cid=cid, fence=grant.fence)

    def _renewed(self, plvn: PlvnId) -> Publish:
        grant = self.registry.grant(plvn, self.settings.grant_valid_s)
        return Publish(GrantRenewed(grant=grant), Address(plvn=plvn), fence=grant.fence)

    def _no_server(self) -> RegistrationRefused:
        if self.registry.servers:
            return RegistrationRefused(
                code="no_capacity",
                reason=f"none of {len(self.registry.servers)} edge servers is online with room",
                retry_s=2.0,
            )
        reason = "no edge server has reported yet"
        return RegistrationRefused(code="no_edge_server", reason=reason, retry_s=1.0)

    def _on_edge_status(
        self, edge: EdgeId, status: EdgeStatusReported, boot: str, now: float
    ) -> Sequence[Effect]:
        known = self.registry.servers.get(edge)
        lease_until = now + status.lease_s if status.state == "online" else 0.0
        self.registry.servers[edge] = EdgeServer(
            edge, status.lat_deg, status.lon_deg, status.capacity, lease_until, boot
        )
        if status.state == "offline":
            return self._replace_orphans(now)
        if known is None or known.boot != boot:  # it starts without its twins
            hosted = [p for p, r in self.registry.plvns.items() if r.edge == edge]
            for plvn in hosted:
                self.registry.confirmed.pop(plvn, None)
                self.registry.sent_matches.pop(plvn, None)
            return [effect for plvn in sorted(hosted) for effect in self._place_again(plvn)]
        return []

    def _replace_orphans(self, now: float) -> list[Effect]:
        """Give the twins of edge servers that are gone to others, under a new fence."""
        effects: list[Effect] = []
        for plvn, record in sorted(self.registry.plvns.items()):
            if self.registry.is_online(record.edge, now):
                continue
            placed = self.registry.place(plvn, record.site, record.requested_inmfs, now)
            if placed is None or placed == record:
                continue
            self.registry.plvns[plvn] = placed
            self.registry.sent_matches.pop(plvn, None)
            effects += [Save(placed), *self._place_again(plvn), Tally("twins_replaced")]
        return effects

    def _place_again(self, plvn: PlvnId) -> list[Effect]:
        """Tell the owner about its twin, and again until it confirms."""
        record = self.registry.plvns.get(plvn)
        if record is None or self.registry.confirmed.get(plvn) == record.fence:
            return []
        retry = StartTimer(f"place/{plvn}", self.settings.placement_retry_s)
        return [self._placement(plvn), retry]

    def _placement(self, plvn: PlvnId) -> Publish:
        record = self.registry.plvns[plvn]
        grant = self.registry.grant(plvn, self.settings.grant_valid_s)
        placed = TwinPlaced(grant=grant, site=record.site, requested_inmfs=record.requested_inmfs)
        return Publish(placed, Address(plvn=plvn, edge=record.edge), fence=record.fence)

    def _on_twin_registered(self, edge: EdgeId, plvn: PlvnId, fence: int) -> Sequence[Effect]:
        record = self.registry.plvns.get(plvn)
        if record is None or record.edge != edge or record.fence != fence:
            return [Tally("stale_fence")]
        if self.registry.confirmed.get(plvn) == fence:
            return []
        self.registry.confirmed[plvn] = record.fence
        cid = self.registry.waiting.pop(plvn, None)
        answer = self._renewed(plvn) if cid is None else self._granted(plvn, cid)
        return [CancelTimer(f"place/{plvn}"), answer, *self._settle()]

    def _on_grants(self) -> list[Effect]:
        """Prolong every grant."""
        effects: list[Effect] = [StartTimer("grants", self.settings.grant_valid_s / 4)]
        for plvn in sorted(self.registry.plvns):
            confirmed = self.registry.confirmed.get(plvn) == self.registry.plvns[plvn].fence
            effects += [self._renewed(plvn)] if confirmed else []
            effects.append(self._placement(plvn))
        return effects

    def _on_lease(self) -> list[Effect]:
        return [self._status("online"), StartTimer("lease", self.settings.lease_s / 3)]

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
            return [Tally("invalid_category")]
        changed = replace(record, category=category)
        self.registry.plvns[plvn] = changed
        save: list[Effect] = [] if changed == record else [Save(changed)]
        training = self._open_trainings(now) if self.phase == "online" else self._settle()
        return [*save, *self._assign(plvn, known=known), *training]

    def _assign(self, plvn: PlvnId, *, known: bool = True) -> list[Effect]:
        """Answer a category, or tell of a better match; nothing if all is as last sent."""
        record = self.registry.plvns[plvn]
        if record.category is None:
            return []
        matches = tuple(
            match
            for inmf in record.requested_inmfs
            if (match := self._match(inmf, record.category)) is not None
        )
        if self.registry.sent_matches.get(plvn) == matches:
            return []
        self.registry.sent_matches[plvn] = matches
        version = self.registry.category_versions.get(plvn, 0) + 1
        self.registry.category_versions[plvn] = version
        assigned = CategoryAssigned(
            category=record.category, known=known, category_version=version, matches=matches
        )
        to = Address(plvn=plvn, edge=record.edge)
        return [Publish(assigned, to, fence=record.fence)]

    def _match(self, inmf: InmfId, category: CategoryKey) -> MetaModelMatch | None:
        sizes = {c: len(plvns) for c, plvns in self.lattice.members.items()}
        ranked = candidates(category, self.library.available(inmf), sizes)
        if not ranked:
            return None
        model = self.library.models[inmf, ranked[0].category]
        name = model.category or "super model"
        reason = f"{name} is the least general of {len(ranked)} trained categories that contain it"
        return MetaModelMatch(
            inmf=inmf,
            category=model.category,
            version=model.version,
            model=model.model,
            candidates=tuple(m.category for m in ranked),
            reason=reason,
        )

    def _offer(self, edge: EdgeId, request: MetaModelRequested, cid: bytes) -> Publish:
        to = Address(edge=edge, inmf=request.inmf)
        model = self.library.get(request.inmf, CategoryKey(request.category))
        if model is None:
            known = CategoryKey(request.category) in self.lattice.members
            missing = MetaModelMissing(
                inmf=request.inmf,
                category=request.category,
                code="not_trained" if known else "unknown_category",
                reason=f"no meta model of {request.inmf} for {request.category or 'super'}",
            )
            return Publish(missing, to, cid=cid)
        offered = MetaModelOffered(
            inmf=model.inmf,
            category=model.category,
            version=model.version,
            model=model.model,
            schema_id=model.schema_id,
            parameters=_tensors(model.weights),
        )
        return Publish(offered, to, cid=cid)

    def _announce_library(self) -> list[Effect]:
        return [self._indexed(model) for model in self.library.models.values()]

    @staticmethod
    def _indexed(model: MetaModel) -> Publish:
        indexed = LibraryIndexed(
            inmf=model.inmf,
            category=model.category,
            version=model.version,
            model=model.model,
            iterations=model.iterations,
            adaptation_reward_first=model.adaptation_reward_first,
            adaptation_reward_last=model.adaptation_reward_last,
        )
        digest = category_digest(model.category)
        return Publish(indexed, Address(inmf=model.inmf, category_digest=digest))

    # Planning and meta training

    def _settle(self) -> list[Effect]:
        """Planning begins when the expected PLVNs are there, or when no more come for a while."""
        if self.phase != "planning" or self.planning_begun:
            return []
        with_category = [p for p, r in self.registry.plvns.items() if r.category is not None]
        ready = sum(p in self.registry.confirmed for p in with_category)
        if not ready:
            return []
        enough = 0 < self.settings.expected_plvns <= ready
        return [StartTimer("settle", 0.0 if enough else self.settings.settle_s)]

    def _begin_planning(self, now: float) -> list[Effect]:
        if self.planning_begun or self.phase != "planning":
            return []
        self.planning_begun = True
        budget = self.settings.planning_s
        deadlines: list[Effect] = [
            StartTimer("super", budget * self.settings.super_share),
            StartTimer("planning", budget),
        ]
        return [*deadlines, *self._open_trainings(now)]

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
        return finished if self._is_online() else [*finished, *self._go_online()]

    def _is_online(self) -> bool:
        return self.phase == "online"

    def _go_online(self) -> list[Effect]:
        self.phase = "online"
        return [self._status("online"), CancelTimer("super"), CancelTimer("planning")]

    def _open_trainings(self, now: float) -> list[Effect]:
        fresh = self.planner.open_trainings()
        return [effect for t in fresh for effect in self._start_round(t.job, now)]

    def _start_round(self, job: str, now: float) -> list[Effect]:
        training = self.planner.trainings.get(job)
        if training is None:
            return []
        members = self.lattice.members.get(training.category, set())
        hosted = self.registry.hosted(members, training.inmf, now)
        if not hosted or training.empty_rounds >= self.settings.round_attempts:
            training.empty_rounds = 0
            return [StartTimer(f"pause/{job}", self.settings.pause_s), Tally("rounds_paused")]
        sampled = training.sample(hosted)
        deadline = StartTimer(f"round/{job}", self.settings.round_deadline_s)
        return [*self._round_messages(training, sampled), deadline]

    def _round_messages(self, training: Training, sampled: Sequence[PlvnId]) -> list[Publish]:
        by_edge: dict[EdgeId, list[PlvnId]] = {}
        for plvn in sampled:
            by_edge.setdefault(self.registry.plvns[plvn].edge, []).append(plvn)
        tensors = _tensors(training.model)
        deadline_s = self.settings.round_deadline_s
        return [
            Publish(
                MetaRoundStarted(
                    job=training.job,
                    category=training.category,
                    iteration=training.iteration,
                    deadline_s=deadline_s,
                    plvns=tuple(plvns),
                    schema_id=self.planner.blueprints[training.inmf].schema_id,
                    model=tensors,
                    settings=training.round_settings(),
                ),
                Address(edge=edge, inmf=training.inmf),
                ttl_s=deadline_s,
            )
            for edge, plvns in sorted(by_edge.items())
        ]

    def _on_gradients(self, message: GradientsComputed, now: float) -> list[Effect]:
        training = self.planner.trainings.get(message.job)
        if training is None:
            return [Tally("gradients.late", len(message.rows))]
        outcomes = training.add(message)
        tallies = [Tally(f"gradients.{outcome}", n) for outcome, n in outcomes.items()]
        return [*tallies, *(self._close_round(message.job, now) if training.complete() else [])]

    def _on_gradients_failed(self, message: GradientsFailed, now: float) -> list[Effect]:
        training = self.planner.trainings.get(message.job)
        if training is None:
            return [Tally("gradients.late", len(message.plvns))]
        training.fail(message.iteration, message.plvns, message.reason)
        tally = Tally("gradients.failed", len(message.plvns))
        return [tally, *(self._close_round(message.job, now) if training.complete() else [])]

    def _close_round(self, job: str, now: float) -> list[Effect]:
        training = self.planner.trainings.get(job)
        if training is None or not training.expected:
            return []
        missing = len(training.expected - training.rows.keys() - training.failed.keys())
        before = training.iteration
        refused = training.close()
        tallies: list[Effect] = [Tally("gradients.missing", missing)] if missing else []
        tallies += [Tally("gradients.refused", len(refused))] if refused else []
        if training.iteration == before:
            return [*tallies, Tally("rounds_empty"), *self._start_round(job, now)]
        tallies.append(Tally("iterations"))
        if training.finished():
            return [*tallies, *self._finish(training, now)]
        return [*tallies, *self._progress(training), *self._start_round(job, now)]

    def _progress(self, training: Training) -> list[Effect]:
        effects: list[Effect] = []
        if training.iteration % self.settings.checkpoint_iterations == 0:
            effects.append(Save(self.planner.checkpoint(training)))
        if training.iteration % STATUS_ITERATIONS == 0:
            effects.append(self._status("online"))
        return effects

    def _finish(self, training: Training, now: float, *, reopen: bool = True) -> list[Effect]:
        """Put the model into the library, tell everyone whom it fits, and go on."""
        model = self.planner.close_training(training.job)
        effects: list[Effect] = [
            Save(model),
            CancelTimer(f"round/{training.job}"),
            self._indexed(model),
        ]
        for plvn in sorted(self.registry.plvns):
            effects += self._assign(plvn)
        if reopen:
            effects += self._open_trainings(now)
        if self.phase == "planning" and not self.planner.trainings and not self.planner.wanted():
            effects += self._go_online()
        return effects

    def _restore(self, record: CloudRecord) -> None:
        match record:
            case PlvnRecord():
                self.registry.plvns[record.plvn] = record
                if record.category is not None:
                    self.lattice.place(record.plvn, record.category)
            case MetaModel():
                self.library.add(record)
            case TrainingRecord():
                self.planner.checkpoints[record.inmf, record.category] = record


def _tensors(model: MetaParameters) -> Tensors:
    return Tensors.pack({"parameters": model.parameters, "log_step_sizes": model.log_step_sizes})
