"""One edge server's behaviour: it hosts twins, computes meta tasks, makes individual models.

Messages of a PLVN under another fence than the grant's, of a PLVN that is not hosted here, or after
the grant has ended, are counted and do nothing. Randomness comes from seeds in settings and rounds.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from twintier.edge_twin.individual_model import IndividualModel
from twintier.edge_twin.jobs import POLICY, AdaptationResult, ChangeResult, MetaTask, TaskFailure
from twintier.edge_twin.life_cycle import CachedModel
from twintier.edge_twin.mirror import IncompleteSlotsError, KeptTrajectories, Mirror
from twintier.edge_twin.rounds import failure_message, gradient_messages, round_job_key, seed_of
from twintier.edge_twin.routes import is_of_cloud_twin, plvn_route
from twintier.edge_twin.settings import EdgeSettings
from twintier.edge_twin.twin import Twin, TwinRecord
from twintier.learning.meta import MetaGradient, MetaSettings
from twintier.protocol.address import Address
from twintier.protocol.envelope import Envelope
from twintier.protocol.ids import CategoryKey, EdgeId, InmfId, PlvnId
from twintier.protocol.messages import (
    AttributesReported,
    CategoryAssigned,
    EdgeStatusReported,
    LibraryIndexed,
    MessageReturned,
    MetaModelMissing,
    MetaModelOffered,
    MetaModelRequested,
    MetaProgressReported,
    MetaRoundStarted,
    ModelApplied,
    ModelRefused,
    ModelRequested,
    TelemetryReported,
    TrajectoriesReported,
    TwinPlaced,
    TwinRegistered,
    UploadsAcknowledged,
)
from twintier.runtime.core import Input, JobDone, JobFailed, Observed, Received, Started, TimerFired
from twintier.runtime.effects import (
    CancelTimer,
    ConfirmUploads,
    Count,
    Defer,
    Effect,
    Publish,
    Save,
    StartJob,
    StartTimer,
    count_of,
)

EdgeRecord = TwinRecord | IndividualModel | KeptTrajectories
META_PRIORITY = 10


class EdgeCore:
    """One edge server."""

    role: Literal["edge"] = "edge"

    def __init__(
        self, edge: EdgeId, settings: EdgeSettings, records: Sequence[EdgeRecord] = ()
    ) -> None:
        self.id: str = edge
        self.edge = edge
        self.settings = settings
        self.twins: dict[PlvnId, Twin] = {}
        self.cache: dict[tuple[InmfId, str], CachedModel] = {}
        self.rounds: dict[str, MetaRoundStarted] = {}
        for record in records:
            self._restore(record)

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        """Take an input and say what shall happen."""
        match event:
            case Received():
                return self._on_message(event, now)
            case TimerFired(key=key):
                return self._on_timer(key)
            case JobDone(key=key, result=result):
                return self._on_job_done(key, result)
            case JobFailed(key=key, reason=reason):
                return self._on_job_failed(key, reason)
            case Started():
                return self._on_started()
            case Observed():
                return []

    def goodbye(self) -> Sequence[Effect]:
        """Say that the edge server leaves."""
        return [self._status("offline")]

    def _on_message(self, received: Received, now: float) -> Sequence[Effect]:  # noqa: C901  # dispatch
        address, envelope = received.address, received.envelope
        match received.message:
            case TwinPlaced() as placed:
                return self._on_placed(placed, now)
            case CategoryAssigned() as assigned if address.plvn:
                return self._on_category(address.plvn, assigned, envelope.boot)
            case MetaModelOffered() as offered:
                return self._on_offered(offered)
            case MetaModelMissing() as missing:
                return [CancelTimer(f"fetch/{missing.inmf}/{missing.category}"), Count("missing")]
            case LibraryIndexed() as indexed:
                return self._on_indexed(indexed)
            case MetaRoundStarted() as started if address.inmf:
                return self._on_round(started, address.inmf)
            case UploadsAcknowledged() as acknowledged:
                return [ConfirmUploads(acknowledged)]
            case MessageReturned() as returned:
                settled = [ConfirmUploads(returned)] if is_of_cloud_twin(received) else []
                return [*settled, count_of(returned)]
            case _ if address.plvn:
                return self._on_plvn_message(address.plvn, received, envelope, now)
            case _:
                return []

    def _on_plvn_message(
        self, plvn: PlvnId, received: Received, envelope: Envelope, now: float
    ) -> Sequence[Effect]:
        """What is not ours yet is deferred: its sender keeps it until its owner has taken it."""
        twin = self.twins.get(plvn)
        if twin is None:
            return [Count("not_hosted"), Defer()]
        if envelope.fence is None or envelope.fence < twin.record.grant.fence:
            return [Count("stale_fence")]
        if envelope.fence > twin.record.grant.fence or now > twin.valid_until:
            return [Count("grant_expired"), Defer()]
        sim_time_s = twin.sim_time_s
        if envelope.sim_ts_ns is not None:
            sim_time_s = envelope.sim_ts_ns / 1e9
        try:
            return self._of_twin(twin, received, sim_time_s)
        except IncompleteSlotsError:
            return [Count("incomplete_slots")]

    def _of_twin(self, twin: Twin, received: Received, sim_time_s: float) -> Sequence[Effect]:
        inmf = received.address.inmf
        managed = twin.managed.get(inmf) if inmf else None
        match received.message:
            case TelemetryReported() as telemetry:
                attributes = twin.on_telemetry(telemetry, sim_time_s)
                return [] if attributes is None else [self._attributes(twin, attributes)]
            case TrajectoriesReported() as trajectories if managed:
                rows = twin.mirror.add_trajectories(trajectories)
                kept = Save(KeptTrajectories(twin.plvn, trajectories))
                emulator = twin.emulator()
                return [kept, *managed.on_trajectories(trajectories, rows, emulator, sim_time_s)]
            case ModelApplied(version=version) if managed:
                return managed.on_applied(version)
            case ModelRefused(version=version) if managed:
                return managed.on_refused(version)
            case ModelRequested(inmf=wanted) if wanted in twin.managed:
                return twin.managed[wanted].dispatch_again(asked=True)
            case _:  # performance is for those who watch; the twin uses the trajectories
                return []

    def _on_timer(self, key: str) -> Sequence[Effect]:
        kind, _, rest = key.partition("/")
        match kind:
            case "lease":
                lease = StartTimer("lease", self.settings.lease_s / 3)
                return [self._status("online"), lease]
            case "fetch":
                inmf, _, category = rest.partition("/")
                return self._fetch(InmfId(inmf), category)
            case "dispatch":
                plvn, _, inmf = rest.partition("/")
                twin = self.twins.get(PlvnId(plvn))
                managed = twin.managed.get(InmfId(inmf)) if twin else None
                return managed.dispatch_again() if managed else []
            case _:
                return []

    def _on_started(self) -> Sequence[Effect]:
        twins = [plvn_route(plvn) for plvn in sorted(self.twins)]
        return [*twins, self._status("online"), StartTimer("lease", self.settings.lease_s / 3)]

    # Ownership and categories

    def _on_placed(self, placed: TwinPlaced, now: float) -> Sequence[Effect]:
        grant = placed.grant
        twin = self.twins.get(grant.plvn)
        if grant.edge != self.edge:
            return [Count("not_owner")]
        if twin is not None and grant.fence < twin.record.grant.fence:
            return [Count("stale_fence")]
        record = TwinRecord(grant, placed.site, placed.requested_inmfs)
        registered = Publish(
            TwinRegistered(grant=grant),
            Address(plvn=grant.plvn, edge=self.edge),
            fence=grant.fence,
        )
        if twin is not None and grant.fence == twin.record.grant.fence:
            changed = twin.record.requested_inmfs != placed.requested_inmfs
            twin.record, twin.valid_until = record, now + grant.valid_s
            twin.manage(placed.requested_inmfs)
            return [*([Save(record)] if changed else []), registered]
        self.twins[grant.plvn] = twin = self._new_twin(record, now + grant.valid_s)
        return [
            Save(record),
            plvn_route(grant.plvn),
            registered,
            self._attributes(twin, twin.attributes()),
            self._status("online"),
        ]

    def _new_twin(self, record: TwinRecord, valid_until: float) -> Twin:
        settings = self.settings
        mirror = Mirror.of(settings.telemetry_slots, settings.trajectory_slots)
        twin = Twin(record, settings, valid_until, mirror)
        twin.manage(record.requested_inmfs)
        return twin

    def _attributes(self, twin: Twin, attributes: AttributesReported) -> Publish:
        return Publish(
            attributes,
            Address(plvn=twin.plvn, edge=self.edge),
            fence=twin.record.grant.fence,
            sim_time_s=twin.sim_time_s,
        )

    def _on_category(self, plvn: PlvnId, assigned: CategoryAssigned, boot: str) -> Sequence[Effect]:
        twin = self.twins.get(plvn)
        if twin is None:
            return [Count("not_hosted")]
        if boot == twin.category_boot and assigned.category_version < twin.category_version:
            return [Count("stale_category")]
        twin.category_boot = boot
        twin.category = CategoryKey(assigned.category)
        twin.category_version = assigned.category_version
        effects: list[Effect] = []
        for match in assigned.matches:
            managed = twin.managed.get(match.inmf)
            if managed is not None:
                managed.match = match
                effects += self._meta_model_for(twin, match.inmf)
        return effects

    def _meta_model_for(self, twin: Twin, inmf: InmfId) -> list[Effect]:
        """Give the twin the matched meta model from the cache, or fetch it."""
        managed = twin.managed[inmf]
        assert managed.match is not None
        match = managed.match
        cached = self.cache.get((inmf, match.category))
        if cached is None or cached.version < match.version:
            return self._fetch(inmf, match.category)
        emulator = twin.emulator()
        begun = managed.on_meta_model(cached, emulator)
        category = twin.category or CategoryKey("")
        moved = managed.on_category(category, emulator, twin.sim_time_s)
        managed.trained_category = category
        return [*begun, *moved]

    # The library

    def _fetch(self, inmf: InmfId, category: str) -> list[Effect]:
        key = f"fetch/{inmf}/{category}"
        cached = self.cache.get((inmf, category))
        request = MetaModelRequested(
            inmf=inmf, category=category, version=0 if cached is None else cached.version
        )
        retry = StartTimer(key, self.settings.retry_s)
        return [Publish(request, Address(edge=self.edge)), retry, Count("fetches")]

    def _on_offered(self, offered: MetaModelOffered) -> Sequence[Effect]:
        done = CancelTimer(f"fetch/{offered.inmf}/{offered.category}")
        arrays = offered.parameters.unpack()
        sizes = [arrays[n].shape for n in ("parameters", "log_step_sizes") if n in arrays]
        if offered.schema_id != POLICY.schema_id or sizes != [(POLICY.parameters,)] * 2:
            return [done, Count("schema_mismatch")]
        key = (offered.inmf, offered.category)
        present = self.cache.get(key)
        if present is None or present.version < offered.version:
            self._make_room()
            self.cache[key] = CachedModel(
                offered.category,
                offered.version,
                offered.parameters.floats("parameters"),
                offered.parameters.floats("log_step_sizes"),
            )
        effects: list[Effect] = [done]
        for twin in self.twins.values():
            managed = twin.managed.get(offered.inmf)
            wanted = managed.match if managed else None
            if wanted is None or wanted.category != offered.category:
                continue
            if wanted.version > self.cache[key].version:  # the library has it no longer
                effects.append(Count("offers_outdated"))
            else:
                effects += self._meta_model_for(twin, offered.inmf)
        return effects

    def _make_room(self) -> None:
        """Forget a meta model that no twin is matched with, the oldest first."""
        in_use = {
            (inmf, m.match.category)
            for twin in self.twins.values()
            for inmf, m in twin.managed.items()
            if m.match is not None
        }
        while len(self.cache) >= self.settings.cached_models:
            victim = next((key for key in self.cache if key not in in_use), None)
            if victim is None:
                return
            del self.cache[victim]

    def _on_indexed(self, indexed: LibraryIndexed) -> Sequence[Effect]:
        """A newer version makes the cached one stale."""
        cached = self.cache.get((indexed.inmf, indexed.category))
        if cached is None or cached.version >= indexed.version:
            return []
        del self.cache[indexed.inmf, indexed.category]
        return [Count("cache_invalidated")]

    # Meta training, Fig. 5(a)

    def _on_round(self, started: MetaRoundStarted, inmf: InmfId) -> Sequence[Effect]:
        hosted = [p for p in started.plvns if p in self.twins and inmf in self.twins[p].managed]
        absent = tuple(p for p in started.plvns if p not in hosted)
        effects: list[Effect] = []
        if started.schema_id != POLICY.schema_id:
            hosted, absent = [], started.plvns
        if absent:
            effects.append(self._failed(started, inmf, absent, "not hosted here or other schema"))
        if not hosted:
            return effects
        key = round_job_key(inmf, started)
        if key in self.rounds:  # repeated by the broker or the cloud twin: it is being computed
            return [*effects, Count("rounds_repeated")]
        self.rounds[key] = started
        progress = MetaProgressReported(
            job=started.job, iteration=started.iteration, plvns=len(hosted), stage="received"
        )
        return [
            *effects,
            Publish(progress, Address(edge=self.edge, inmf=inmf)),
            StartJob(key, self._meta_task(started, inmf, hosted), META_PRIORITY),
        ]

    def _meta_task(
        self, started: MetaRoundStarted, inmf: InmfId, plvns: Sequence[PlvnId]
    ) -> MetaTask:
        settings = started.settings
        twins = tuple(self.twins[p].task(inmf, seed_of(settings.seed, p)) for p in plvns)
        return MetaTask(
            twins,
            started.model.floats("parameters"),
            started.model.floats("log_step_sizes"),
            MetaSettings(
                algorithm="maml" if settings.algorithm == "teacher" else settings.algorithm,
                inner_steps=settings.inner_steps,
                episodes=settings.episodes,
            ),
            self.settings.prior_share,
            teacher=settings.algorithm == "teacher",
        )

    def _on_gradients(
        self, key: str, result: Mapping[str, MetaGradient | TaskFailure]
    ) -> Sequence[Effect]:
        started = self.rounds.pop(key, None)
        if started is None:
            return [Count("rounds_outdated")]
        inmf = InmfId(key.split("/")[1])
        rows = {PlvnId(p): row for p, row in result.items() if isinstance(row, MetaGradient)}
        to = Address(edge=self.edge, inmf=inmf)
        effects: list[Effect] = [
            Publish(message, to, ttl_s=started.deadline_s)
            for message in gradient_messages(started, rows, self.settings.rows_per_message)
        ]
        failures = {PlvnId(p): f for p, f in result.items() if isinstance(f, TaskFailure)}
        if failures:
            reason = next(iter(failures.values())).reason
            effects.append(self._failed(started, inmf, tuple(sorted(failures)), reason))
        progress = MetaProgressReported(
            job=started.job, iteration=started.iteration, plvns=len(rows), stage="emulated"
        )
        return [*effects, Publish(progress, to)]

    def _failed(
        self, started: MetaRoundStarted, inmf: InmfId, plvns: tuple[PlvnId, ...], reason: str
    ) -> Publish:
        failed = failure_message(started, plvns, reason)
        return Publish(failed, Address(edge=self.edge, inmf=inmf), ttl_s=started.deadline_s)

    # Jobs

    def _on_job_done(self, key: str, result: object) -> Sequence[Effect]:
        kind, _, rest = key.partition("/")
        match kind, result:
            case "meta", dict():
                return self._on_gradients(key, result)
            case (("adapt" | "test"), (AdaptationResult() | ChangeResult())):
                plvn, inmf, attempt = rest.split("/")
                twin = self.twins.get(PlvnId(plvn))
                managed = twin.managed.get(InmfId(inmf)) if twin else None
                if twin is None or managed is None:
                    return [Count("results_outdated")]
                if isinstance(result, AdaptationResult):
                    return managed.on_result(int(attempt), result, twin.sim_time_s)
                return managed.on_change_tested(int(attempt), result, twin.emulator())
            case _:
                return [Count("results_unknown")]

    def _on_job_failed(self, key: str, reason: str) -> Sequence[Effect]:
        kind, _, rest = key.partition("/")
        if kind == "meta":
            started = self.rounds.pop(key, None)
            inmf = InmfId(rest.split("/")[0])
            return [] if started is None else [self._failed(started, inmf, started.plvns, reason)]
        plvn, inmf_name, attempt = rest.split("/")
        twin = self.twins.get(PlvnId(plvn))
        managed = twin.managed.get(InmfId(inmf_name)) if twin else None
        if twin is None or managed is None:
            return []
        return managed.on_failure(int(attempt))

    def _status(self, state: Literal["online", "offline"]) -> Publish:
        status = EdgeStatusReported(
            state=state,
            lease_s=self.settings.lease_s,
            lat_deg=self.settings.lat_deg,
            lon_deg=self.settings.lon_deg,
            capacity=self.settings.capacity,
            twins=len(self.twins),
            verify_key=self.settings.verify_key,
        )
        return Publish(status, Address(edge=self.edge))

    def _restore(self, record: EdgeRecord) -> None:
        match record:
            case TwinRecord():
                # A renewal by the cloud twin says until when; before that nothing is obeyed.
                self.twins[record.grant.plvn] = self._new_twin(record, 0.0)
            case IndividualModel():
                twin = self.twins.get(record.plvn)
                if twin is not None and record.inmf in twin.managed:
                    twin.managed[record.inmf].restore(record)
            case KeptTrajectories():
                twin = self.twins.get(record.plvn)
                if twin is not None:
                    twin.mirror.add_trajectories(record.message)
