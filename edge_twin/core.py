"""One edge server's behaviour: it hosts twins, computes meta tasks, makes individual models.

Here events find their part: `hosting` has the twins, `cache` the meta models, `rounds` the meta
training. Messages of a PLVN under another fence than the grant's, of a PLVN that is not hosted
here, or after the grant has ended, are counted and do nothing. Randomness comes from seeds in
settings and rounds.
"""

from collections.abc import Sequence
from typing import Literal

from twintier.edge_twin.adaptation import ManagedInmf
from twintier.edge_twin.cache import MetaModelCache
from twintier.edge_twin.cache_policies.registry import cache_policy_of
from twintier.edge_twin.continuity import Position
from twintier.edge_twin.hosting import EdgeRecord, Hosting
from twintier.edge_twin.isolation import guarded, incomplete
from twintier.edge_twin.jobs import AdaptationResult, ChangeResult, policy_of
from twintier.edge_twin.keys import (
    Adapting,
    ChangeTesting,
    DispatchRetry,
    Exporting,
    FetchRetry,
    MetaRound,
    Timer,
)
from twintier.edge_twin.mirror import KeptTrajectories
from twintier.edge_twin.rounds import Rounds
from twintier.edge_twin.routes import is_of_cloud_twin
from twintier.edge_twin.settings import EdgeSettings
from twintier.edge_twin.twin import Twin
from twintier.inmf.registry import inmf_of, is_known
from twintier.protocol.address import Address
from twintier.protocol.envelope import Envelope
from twintier.protocol.ids import EdgeId, PlvnId
from twintier.protocol.messages import (
    CategoryAssigned,
    EdgeStatusReported,
    LibraryIndexed,
    MessageReturned,
    MetaModelMissing,
    MetaModelOffered,
    MetaRoundStarted,
    ModelApplied,
    ModelRefused,
    ModelRequested,
    TelemetryReported,
    TrajectoriesReported,
    TwinPlaced,
    UploadsAcknowledged,
)
from twintier.runtime.answers import refused
from twintier.runtime.core import Input, JobDone, JobFailed, Observed, Received, Started, TimerFired
from twintier.runtime.effects import (
    CancelTimer,
    ConfirmUploads,
    Count,
    Defer,
    Effect,
    Publish,
    Save,
    StartTimer,
    count_of,
)

__all__ = ["EdgeCore", "EdgeRecord"]


class EdgeCore:
    """One edge server."""

    role: Literal["edge"] = "edge"

    def __init__(
        self, edge: EdgeId, settings: EdgeSettings, records: Sequence[EdgeRecord] = ()
    ) -> None:
        self.id: str = edge
        self.edge = edge
        self.settings = settings
        self.cache = MetaModelCache(
            edge, settings.cached_models, settings.retry_s, cache_policy_of(settings.cache_policy)
        )
        self.hosting = Hosting(edge, settings, self.cache)
        self.rounds = Rounds(edge, settings)
        for record in records:
            self.hosting.restore(record)

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
                return [*self.hosting.routes(), *self._on_lease()]
            case Observed():
                return []

    def goodbye(self) -> Sequence[Effect]:
        """Say that the edge server leaves."""
        return [self._status("offline")]

    def _on_message(self, received: Received, now: float) -> Sequence[Effect]:  # noqa: C901  # dispatch
        address, envelope = received.address, received.envelope
        match received.message:
            case TwinPlaced() as placed:
                effects, is_new = self.hosting.on_placed(placed, now)
                return [*effects, *([self._status("online")] if is_new else [])]
            case CategoryAssigned() as assigned if address.plvn:
                return self.hosting.on_category(address.plvn, assigned, envelope.boot)
            case MetaModelOffered() as offered:
                return self._on_offered(offered)
            case MetaModelMissing() as missing:
                return [CancelTimer(FetchRetry(missing.inmf, missing.category)), Count("missing")]
            case LibraryIndexed() as indexed:
                return self.cache.indexed(indexed)
            case MetaRoundStarted() as started if address.inmf:
                return self.rounds.start(started, address.inmf, self.hosting.twins)
            case UploadsAcknowledged() as acknowledged:
                return [ConfirmUploads(acknowledged)]
            case MessageReturned() as returned:
                confirmed = [ConfirmUploads(returned)] if is_of_cloud_twin(received) else []
                return [*confirmed, count_of(returned)]
            case _ if address.plvn:
                return self._on_plvn_message(address.plvn, received, envelope, now)
            case _:
                return []

    def _on_plvn_message(
        self, plvn: PlvnId, received: Received, envelope: Envelope, now: float
    ) -> Sequence[Effect]:
        """What is not ours yet is deferred: its sender keeps it until its owner has taken it."""
        twin = self.hosting.twins.get(plvn)
        if twin is None:
            return [Count("not_hosted"), Defer()]
        if envelope.fence is None or envelope.fence < twin.record.grant.fence:
            return [Count("stale_fence")]
        if envelope.fence > twin.record.grant.fence or now > twin.valid_until:
            return [Count("grant_expired"), Defer()]
        sim_time_s = twin.sim_time_s
        if envelope.sim_ts_ns is not None:
            sim_time_s = envelope.sim_ts_ns / 1e9
        return self._of_twin(twin, received, sim_time_s)

    def _of_twin(self, twin: Twin, received: Received, sim_time_s: float) -> Sequence[Effect]:
        inmf = received.address.inmf
        managed = twin.managed.get(inmf) if inmf else None
        match received.message:
            case TelemetryReported() as telemetry:
                return self._on_telemetry(twin, received, telemetry, sim_time_s)
            case TrajectoriesReported() as trajectories if managed:
                return self._on_trajectories(twin, managed, received, trajectories)
            case ModelApplied(version=version) if managed:
                return managed.orders.applied(version)
            case ModelRefused(version=version, reason=reason) if managed:
                return managed.on_refused(version, reason)
            case ModelRequested(inmf=wanted) if wanted in twin.managed:
                return twin.managed[wanted].orders.again(asked=True)
            case _:  # performance is for those who watch; the twin uses the trajectories
                return []

    def _on_telemetry(
        self, twin: Twin, received: Received, telemetry: TelemetryReported, sim_time_s: float
    ) -> list[Effect]:
        """The latest wins; what is older, or jumps, changes nothing."""
        envelope = received.envelope
        judgement = twin.placed(telemetry, envelope.boot, envelope.seq, sim_time_s)
        if judgement.kind == "stale":
            return [Count("telemetry_stale")]
        if judgement.kind == "jump":
            return refused(received, "invalid_body", judgement.reason)
        unfit: list[Effect] = []
        for managed, reason in twin.on_measured(telemetry):
            unfit += [incomplete(managed), *refused(received, "invalid_body", reason)]
        attributes = twin.on_telemetry(telemetry, sim_time_s)
        told = [] if attributes is None else [self.hosting.attributes(twin, attributes)]
        return [*unfit, *told]

    def _on_trajectories(
        self, twin: Twin, managed: ManagedInmf, received: Received, message: TrajectoriesReported
    ) -> list[Effect]:
        """Kept before anything follows from them; what does not fit is not kept."""
        envelope, slot_s = received.envelope, managed.inmf.spec.slot_s
        known, most = managed.orders.version, self.settings.most_versions_ahead
        if message.model_version > known + most:
            reason = (
                f"model version {message.model_version} is more than {most} above {known}, the "
                "newest order; report the version that acts"
            )
            return refused(received, "invalid_body", reason)
        at = Position(envelope.boot, envelope.seq, message.slot_first * slot_s, 0.0)
        judgement = twin.courses.take(managed.id, at)
        if judgement.kind == "stale":
            return [Count("trajectories_stale")]
        if judgement.kind == "jump":
            return refused(received, "invalid_body", judgement.reason)
        if judgement.kind == "epoch":
            managed.begin_epoch()
        sim_time_s = twin.sim_time_s if envelope.sim_ts_ns is None else envelope.sim_ts_ns / 1e9
        effects = guarded(managed, lambda: managed.on_trajectories(message, sim_time_s))
        if effects == [incomplete(managed)]:
            reason = f"slots are not what {managed.id} says of its columns; send all of them"
            return [*effects, *refused(received, "invalid_body", reason)]
        return [Save(KeptTrajectories(managed.plvn, managed.id, message)), *effects]

    def _on_timer(self, key: object) -> Sequence[Effect]:
        match key:
            case Timer.LEASE:
                return self._on_lease()
            case FetchRetry(inmf=inmf, category=category):
                return self.cache.fetch(inmf, category)
            case DispatchRetry():
                managed = self._managed(key)
                return managed.orders.again() if managed else []
            case _:
                return []

    def _on_lease(self) -> list[Effect]:
        return [self._status("online"), StartTimer(Timer.LEASE, self.settings.lease_s / 3)]

    def _on_offered(self, offered: MetaModelOffered) -> Sequence[Effect]:
        done = CancelTimer(FetchRetry(offered.inmf, offered.category))
        known = is_known(offered.inmf)
        inmf = inmf_of(offered.inmf) if known else None
        size = policy_of(offered.inmf).parameters if known else 0
        if not self.cache.take(offered, inmf, size, self.hosting.matched()):
            return [done, Count("schema_mismatch")]
        return [done, *self.hosting.on_meta_model(offered.inmf, offered.category)]

    def _on_job_done(self, key: object, result: object) -> Sequence[Effect]:
        match key, result:
            case MetaRound(), dict():
                return self.rounds.done(key, result)
            case Adapting(), AdaptationResult():
                return self._on_adapted(key, result)
            case ChangeTesting(), ChangeResult():
                return self._on_change_tested(key, result)
            case Exporting(inmf=inmf), bytes():
                self.hosting.programs.done(inmf, result)
                return self.hosting.on_program(inmf)
            case _:
                return [Count("results_unknown")]

    def _on_adapted(self, key: Adapting, result: AdaptationResult) -> Sequence[Effect]:
        managed, twin = self._managed(key), self.hosting.twins.get(key.plvn)
        if managed is None or twin is None:
            return [Count("results_outdated")]
        return guarded(managed, lambda: managed.on_result(key.attempt, result, twin.sim_time_s))

    def _on_change_tested(self, key: ChangeTesting, result: ChangeResult) -> Sequence[Effect]:
        managed = self._managed(key)
        if managed is None:
            return [Count("results_outdated")]
        return guarded(managed, lambda: managed.on_change_tested(key.attempt, result))

    def _on_job_failed(self, key: object, reason: str) -> Sequence[Effect]:
        match key:
            case MetaRound():
                return self.rounds.failed(key, reason)
            case Exporting(inmf=inmf):
                self.hosting.programs.failed(inmf)
                return [Count("exports_failed")]
            case Adapting(attempt=attempt) | ChangeTesting(attempt=attempt):
                managed = self._managed(key)
                return managed.on_failure(attempt) if managed else []
            case _:
                return []

    def _managed(self, key: DispatchRetry | Adapting | ChangeTesting) -> ManagedInmf | None:
        twin = self.hosting.twins.get(key.plvn)
        return twin.managed.get(key.inmf) if twin else None

    def _status(self, state: Literal["online", "offline"]) -> Publish:
        status = EdgeStatusReported(
            state=state,
            lease_s=self.settings.lease_s,
            lat_deg=self.settings.lat_deg,
            lon_deg=self.settings.lon_deg,
            capacity=self.settings.capacity,
            twins=len(self.hosting.twins),
            verify_key=self.settings.verify_key,
        )
        return Publish(status, Address(edge=self.edge))
