"""The edge server's answers, effect by effect."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.edge_twin.managing import (
    INMF,
    POLICY,
    SETTINGS,
    dispatched,
    in_force,
    jobs,
    of,
    result,
    trajectories,
    waiting,
)
from tests.edge_twin.played import CLEAR, played, rows_of
from tests.support.names import COOP_PERCEPTION
from twintier.edge_twin.core import EdgeCore
from twintier.edge_twin.jobs import MetaTask, TaskFailure
from twintier.edge_twin.keys import Adapting, FetchRetry, MetaRound, Timer
from twintier.edge_twin.mirror import KeptTrajectories
from twintier.edge_twin.rounds import META_PRIORITY, gradient_messages, seed_of
from twintier.edge_twin.routes import plvn_route
from twintier.edge_twin.twin import TwinRecord
from twintier.learning.meta import MetaGradient, MetaSettings
from twintier.protocol.address import Address
from twintier.protocol.catalogue import row_of
from twintier.protocol.columns import pack
from twintier.protocol.envelope import Envelope
from twintier.protocol.ids import EdgeId, InmfId, PlvnId
from twintier.protocol.messages import (
    AttributesReported,
    CategoryAssigned,
    EdgeStatusReported,
    GradientsComputed,
    GradientsFailed,
    Grant,
    InmfSlots,
    LibraryIndexed,
    MessageReturned,
    MetaModelMatch,
    MetaModelMissing,
    MetaModelOffered,
    MetaModelRequested,
    MetaProgressReported,
    MetaRoundStarted,
    MetaTrainingSettings,
    ModelDispatched,
    ModelRequested,
    Site,
    TelemetryReported,
    TwinPlaced,
    TwinRegistered,
)
from twintier.protocol.messages.base import Message
from twintier.protocol.tensors import Tensors
from twintier.protocol.values import Fence
from twintier.runtime.core import JobDone, JobFailed, Received, Started, TimerFired
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
)

E1 = EdgeId("e1")
P1, P2 = PlvnId("p1"), PlvnId("p2")
SITE = Site(city="Berlin", road="Highway", lat_deg=52.5, lon_deg=13.4)
INMFS = (COOP_PERCEPTION,)
UP = Address(plvn=P1, inmf=COOP_PERCEPTION)
ZEROS = np.zeros(POLICY.parameters, np.float32)
WEIGHTS = Tensors.pack({"init": ZEROS, "log_step_sizes": ZEROS})


def received(
    message: Message,
    to: Address,
    *,
    fence: int | None = None,
    boot: str = "b1",
    src: str = "cloud:cloud",
) -> Received:
    envelope = Envelope(
        type=row_of(type(message)).name,
        id=b"i" * 16,
        src=src,
        boot=boot,
        stream="s",
        seq=1,
        ts_ns=0,
        fence=None if fence is None else Fence(fence),
        sim_ts_ns=30 * 10**9,
    )
    return Received(message, envelope, to)


def grant(plvn: PlvnId = P1, fence: int = 1, edge: EdgeId = E1) -> Grant:
    return Grant(plvn=plvn, edge=edge, fence=Fence(fence), valid_s=100.0)


def placed(plvn: PlvnId = P1, fence: int = 1, edge: EdgeId = E1) -> Received:
    message = TwinPlaced(grant=grant(plvn, fence, edge), site=SITE, requested_inmfs=INMFS)
    return received(message, Address(plvn=plvn, edge=edge), fence=fence)


def server(*plvns: PlvnId) -> EdgeCore:
    core = EdgeCore(E1, SETTINGS)
    for plvn in plvns:
        core.receive(placed(plvn), 0.0)
    return core


def uploads(core: EdgeCore, blocks: int, fence: int = 1, now: float = 1.0) -> list[Effect]:
    effects: list[Effect] = []
    for number in range(blocks):
        message = received(trajectories(15 * number, 0), UP, fence=fence)
        effects += core.receive(message, now)
    return effects


def assigned(version: int = 1, match_version: int = 1, boot: str = "b1") -> Received:
    match = MetaModelMatch(
        inmf=COOP_PERCEPTION,
        category="",
        version=match_version,
        model="0" * 64,
        candidates=("",),
        reason="only one",
    )
    message = CategoryAssigned(
        category="city=berlin|road=highway",
        known=True,
        category_version=version,
        matches=(match,),
    )
    return received(message, Address(plvn=P1, edge=E1), boot=boot)


def offered(version: int = 1, weights: Tensors = WEIGHTS, schema: str = INMF.schema_id) -> Received:
    message = MetaModelOffered(
        inmf=COOP_PERCEPTION,
        category="",
        version=version,
        model="0" * 64,
        schema_id=schema,
        parameters=weights,
    )
    return received(message, Address(edge=E1, inmf=COOP_PERCEPTION))


def round_of(*plvns: PlvnId, iteration: int = 0, schema: str = INMF.schema_id) -> Received:
    message = MetaRoundStarted(
        job="super-1",
        category="",
        iteration=iteration,
        deadline_s=20.0,
        plvns=plvns,
        schema_id=schema,
        model=WEIGHTS,
        settings=MetaTrainingSettings(algorithm="maml", inner_steps=1, episodes=2, seed=7),
    )
    return received(message, Address(edge=E1, inmf=COOP_PERCEPTION))


def row(value: float) -> MetaGradient:
    gradient = np.full(POLICY.parameters, value, np.float32)
    return MetaGradient(gradient, gradient, 0.5, 1.0, 2.0, 75)


RETURNED = MessageReturned(
    type="retrain-triggered.v1", boot="b1", stream="s", seq=4, code="failed", reason="why"
)
FETCH = FetchRetry(COOP_PERCEPTION, "")
REQUEST = Publish(
    MetaModelRequested(inmf=COOP_PERCEPTION, category="", version=0), Address(edge=E1)
)
FETCHING = [REQUEST, StartTimer(FETCH, SETTINGS.retry_s), Count("fetches")]
RECORD = TwinRecord(grant(), SITE, INMFS)
ROUND = MetaRound(COOP_PERCEPTION, "super-1", 0, 7)
UNFIT = Count(f"incomplete_slots.{COOP_PERCEPTION}")
KEPT = Save(KeptTrajectories(P1, COOP_PERCEPTION, trajectories(0, 0)))


class TestHosting:
    def test_a_placed_twin_is_saved_subscribed_confirmed_and_described(self) -> None:
        effects = EdgeCore(E1, SETTINGS).receive(placed(), 0.0)
        assert effects[:3] == [
            Save(RECORD),
            plvn_route(P1),
            Publish(TwinRegistered(grant=grant()), Address(plvn=P1, edge=E1), fence=Fence(1)),
        ]
        told = [e.message for e in effects[3:] if isinstance(e, Publish)]
        assert [type(m) for m in told] == [AttributesReported, EdgeStatusReported]
        assert isinstance(told[0], AttributesReported)
        assert told[0].category == "city=berlin|road=highway"

    def test_a_repeated_placement_only_prolongs(self) -> None:
        core = server(P1)
        confirmed = Publish(
            TwinRegistered(grant=grant()), Address(plvn=P1, edge=E1), fence=Fence(1)
        )
        assert core.receive(placed(), 50.0) == [confirmed]
        assert core.hosting.twins[P1].valid_until == 150.0

    def test_a_placement_for_another_server_or_an_older_fence_does_nothing(self) -> None:
        core = server()
        assert core.receive(placed(edge=EdgeId("e2")), 0.0) == [Count("not_owner")]
        core.receive(placed(fence=3), 0.0)
        assert core.receive(placed(fence=2), 0.0) == [Count("stale_fence")]
        assert core.hosting.twins[P1].record.grant.fence == 3

    def test_a_plvn_that_is_not_hosted_is_not_obeyed(self) -> None:
        assert uploads(server(P2), 1) == [Count("not_hosted"), Defer()]

    def test_a_stale_fence_is_not_obeyed(self) -> None:
        core = server()
        core.receive(placed(fence=2), 0.0)
        assert uploads(core, 1, fence=1) == [Count("stale_fence")]
        assert core.hosting.twins[P1].managed[COOP_PERCEPTION].mirror.trajectories.size == 0

    def test_after_the_grant_has_ended_nothing_is_obeyed_until_it_is_prolonged(self) -> None:
        core = server(P1)
        assert uploads(core, 1, now=101.0) == [Count("grant_expired"), Defer()]
        core.receive(placed(), 102.0)
        assert uploads(core, 1, now=103.0) == [KEPT]

    def test_torn_uploads_are_tallied(self) -> None:
        core = server(P1)
        torn = trajectories(0, 0).model_copy(
            update={"slots": Tensors.pack({"objects": np.ones((3, 3))})}
        )
        assert core.receive(received(torn, UP, fence=1), 1.0) == [
            UNFIT,
            Count("refused.invalid_body"),
        ]

    def test_slots_of_an_inmf_that_do_not_fit_cost_no_other_what_was_measured(self) -> None:
        other = InmfId("vnf-scaling")
        good = pack(rows_of(played(CLEAR, 5, 1)), INMF.measured)
        message = TelemetryReported(
            slot_first=30,
            hour=8.0,
            vehicle_number=5,
            mean_speed_share=None,
            vehicles=(),
            measured=(
                InmfSlots(inmf=other, schema_id="another/v9", slots=good),
                InmfSlots(inmf=COOP_PERCEPTION, schema_id=INMF.schema_id, slots=good),
            ),
        )
        for order in ((COOP_PERCEPTION, other), (other, COOP_PERCEPTION)):
            core = server(P1)
            twin = core.hosting.twins[P1]
            twin.manage((COOP_PERCEPTION, other))
            twin.managed = {inmf: twin.managed[inmf] for inmf in order}
            effects = core.receive(received(message, Address(plvn=P1), fence=1), 1.0)
            assert Count(f"incomplete_slots.{other}") in effects
            assert twin.managed[COOP_PERCEPTION].mirror.telemetry_seen == 5
            assert twin.latest == message

    def test_telemetry_reports_attributes_when_they_are_due(self) -> None:
        core = server(P1)
        slots = pack(rows_of(played(CLEAR, 5, 1)), INMF.measured)
        message = TelemetryReported(
            slot_first=30,
            hour=8.0,
            vehicle_number=5,
            mean_speed_share=None,
            vehicles=(),
            measured=(InmfSlots(inmf=COOP_PERCEPTION, schema_id=INMF.schema_id, slots=slots),),
        )
        at = Address(plvn=P1)
        (told,) = of(list(core.receive(received(message, at, fence=1), 1.0)), AttributesReported)
        assert isinstance(told, AttributesReported)
        assert told.category == "city=berlin|road=highway|tod=day"
        assert core.receive(received(message, at, fence=1), 1.0) == []

    def test_the_lease_is_renewed_three_times_within_it(self) -> None:
        status, timer = server(P1).receive(TimerFired(Timer.LEASE), 5.0)
        assert isinstance(status, Publish)
        assert timer == StartTimer(Timer.LEASE, SETTINGS.lease_s / 3)

    def test_a_restarted_server_knows_its_twins_but_obeys_only_renewed_grants(self) -> None:
        core = EdgeCore(E1, SETTINGS, [RECORD])
        started = core.receive(Started(), 10.0)
        assert started[0] == plvn_route(P1)
        assert uploads(core, 1, now=11.0) == [Count("grant_expired"), Defer()]
        core.receive(placed(), 12.0)
        assert uploads(core, 1, now=13.0) == [KEPT]

    def test_a_restarted_server_has_the_trajectories_that_it_took(self) -> None:
        before, kept = server(P1), KeptTrajectories(P1, COOP_PERCEPTION, trajectories(0, 0))
        assert uploads(before, 1) == [Save(kept)]
        restarted = EdgeCore(E1, SETTINGS, [RECORD, kept])
        taken, again = (
            c.hosting.twins[P1].managed[COOP_PERCEPTION].mirror.trajectories
            for c in (before, restarted)
        )
        assert again.size == taken.size == 15
        sent = ("objects", "action", "reward")
        assert all(np.array_equal(again.newest(99)[n], taken.newest(99)[n]) for n in sent)

    def test_a_restarted_server_goes_on_with_the_model_in_force(self) -> None:
        model = in_force().managed.model
        assert model is not None
        core = EdgeCore(E1, SETTINGS, [RECORD, model])
        core.receive(placed(), 0.0)
        wanted = received(ModelRequested(inmf=COOP_PERCEPTION), Address(plvn=P1), fence=1)
        (message,) = dispatched(list(core.receive(wanted, 1.0)))
        assert isinstance(message, ModelDispatched)
        assert (message.version, message.model) == (model.version, model.model)


class TestLibrary:
    def test_a_matched_meta_model_is_fetched_until_it_is_there(self) -> None:
        core = server(P1)
        assert core.receive(assigned(), 1.0) == FETCHING
        assert core.receive(TimerFired(FETCH), 4.0) == FETCHING
        assert core.receive(offered(), 5.0) == [CancelTimer(FETCH)]
        assert core.receive(assigned(version=2), 6.0) == []

    def test_a_fetched_meta_model_starts_a_waiting_adaptation(self) -> None:
        core = server(P1)
        core.receive(assigned(), 1.0)
        assert jobs(uploads(core, 2)) == []
        assert jobs(list(core.receive(offered(), 5.0))) == [Adapting(P1, COOP_PERCEPTION, 1)]

    def test_a_missing_meta_model_is_not_asked_for_again(self) -> None:
        missing = MetaModelMissing(
            inmf=COOP_PERCEPTION, category="", code="not_trained", reason="no"
        )
        effects = server(P1).receive(received(missing, Address(edge=E1)), 1.0)
        assert effects == [CancelTimer(FETCH), Count("missing")]

    @pytest.mark.parametrize(
        "offer",
        [
            offered(schema="other/v1"),
            offered(weights=Tensors.pack({"init": ZEROS})),
            offered(weights=Tensors.pack({"init": ZEROS[:3], "log_step_sizes": ZEROS[:3]})),
        ],
        ids=["schema", "array missing", "size"],
    )
    def test_a_meta_model_that_does_not_fit_is_refused(self, offer: Received) -> None:
        core = server(P1)
        core.receive(assigned(), 1.0)
        assert core.receive(offer, 2.0) == [CancelTimer(FETCH), Count("schema_mismatch")]
        assert core.cache.models == {}

    def test_an_offer_older_than_the_match_is_not_fetched_in_a_circle(self) -> None:
        core = server(P1)
        core.receive(assigned(match_version=2), 1.0)
        assert core.receive(offered(1), 2.0) == [CancelTimer(FETCH), Count("offers_outdated")]

    def test_an_older_category_version_is_stale_unless_the_cloud_twin_has_restarted(self) -> None:
        core = server(P1)
        core.receive(assigned(version=5), 1.0)
        assert core.receive(assigned(version=4), 2.0) == [Count("stale_category")]
        assert core.receive(assigned(version=1, boot="b2"), 3.0) == FETCHING

    def test_a_newer_version_in_the_library_makes_the_cached_one_stale(self) -> None:
        core = server(P1)
        core.receive(assigned(), 1.0)
        core.receive(offered(), 2.0)
        index = LibraryIndexed(
            inmf=COOP_PERCEPTION,
            category="",
            version=1,
            model="0" * 64,
            iterations=1,
            adaptation_reward_first=0.0,
            adaptation_reward_last=1.0,
        )
        assert core.receive(received(index, Address()), 3.0) == []
        newer = index.model_copy(update={"version": 2})
        assert core.receive(received(newer, Address()), 4.0) == [Count("cache_invalidated")]
        assert core.cache.models == {}

    def test_the_cache_is_bounded_but_keeps_what_is_in_use(self) -> None:
        core = EdgeCore(E1, replace(SETTINGS, cached_models=2))
        core.receive(placed(), 0.0)
        core.receive(assigned(), 1.0)
        core.receive(offered(), 2.0)
        for name in ("a", "b", "c"):
            other = offered().message.model_copy(update={"category": f"city={name}"})
            core.receive(received(other, Address(edge=E1)), 3.0)
        assert [category for _, category in core.cache.models] == ["", "city=c"]


class TestUploads:
    def test_a_refusal_of_the_cloud_twin_ends_an_upload(self) -> None:
        down = Address(edge=E1, branch="edge/down")
        effects = server(P1).receive(received(RETURNED, down), 1.0)
        assert effects == [ConfirmUploads(RETURNED), Count("returned.failed")]

    @pytest.mark.parametrize("src", ["plvn:p1", "cloud:cloud"])
    def test_a_refusal_on_the_branch_of_a_hosted_plvn_only_counts(self, src: str) -> None:
        up = Address(plvn=P1, branch="plvn/up")
        assert server(P1).receive(received(RETURNED, up, fence=1, src=src), 1.0) == [
            Count("returned.failed")
        ]


class TestRounds:
    def test_a_round_is_computed_for_hosted_twins_and_the_others_fail_at_once(self) -> None:
        core = server(P1)
        failed, progress, job = core.receive(round_of(P1, P2), 1.0)
        to = Address(edge=E1, inmf=COOP_PERCEPTION)
        absent = GradientsFailed(
            job="super-1", iteration=0, plvns=(P2,), reason="not hosted here or other schema"
        )
        assert failed == Publish(absent, to, ttl_s=20.0)
        received_one = MetaProgressReported(job="super-1", iteration=0, plvns=1, stage="received")
        assert progress == Publish(received_one, to)
        assert isinstance(job, StartJob)
        assert (job.key, job.priority) == (ROUND, META_PRIORITY)
        assert isinstance(job.job, MetaTask)
        assert [twin.plvn for twin in job.job.twins] == ["p1"]

    def test_a_round_waits_behind_adaptations(self) -> None:
        *_, of_round = server(P1).receive(round_of(P1), 1.0)
        of_twin = next(e for e in waiting().upload(2) if isinstance(e, StartJob))
        assert isinstance(of_round, StartJob)
        assert of_round.priority > of_twin.priority

    def test_a_round_says_how_and_the_server_the_rest(self) -> None:
        meta = MetaSettings("fomaml", inner_steps=9, normalise_outer=True)
        core = EdgeCore(E1, replace(SETTINGS, meta=meta))
        core.receive(placed(P1), 0.0)
        _, job = core.receive(round_of(P1), 1.0)
        assert isinstance(job, StartJob)
        assert isinstance(job.job, MetaTask)
        assert job.job.settings == MetaSettings("maml", 1, 2, normalise_outer=True)

    def test_a_repeated_round_is_computed_once(self) -> None:
        core = server(P1)
        core.receive(round_of(P1), 1.0)
        assert core.receive(round_of(P1), 2.0) == [Count("rounds_repeated")]

    def test_a_round_of_another_schema_fails_for_all(self) -> None:
        (failed,) = of(list(server(P1).receive(round_of(P1, schema="x"), 1.0)), GradientsFailed)
        assert isinstance(failed, GradientsFailed)
        assert failed.plvns == (P1,)

    def test_rows_and_failures_are_told_in_order(self) -> None:
        core = server(P1, P2)
        core.receive(round_of(P1, P2), 1.0)
        effects = list(
            core.receive(JobDone(ROUND, {"p2": TaskFailure("NaN"), "p1": row(1.0)}), 2.0)
        )
        kinds = [type(e.message).__name__ for e in effects if isinstance(e, Publish)]
        assert kinds == ["GradientsComputed", "GradientsFailed", "MetaProgressReported"]
        (computed,) = of(effects, GradientsComputed)
        assert isinstance(computed, GradientsComputed)
        assert [r.plvn for r in computed.rows] == [P1]
        assert core.receive(JobDone(ROUND, {}), 3.0) == [Count("rounds_outdated")]

    def test_a_failed_job_fails_the_round(self) -> None:
        core = server(P1)
        core.receive(round_of(P1), 1.0)
        (failed,) = of(list(core.receive(JobFailed(ROUND, "worker died"), 2.0)), GradientsFailed)
        assert isinstance(failed, GradientsFailed)
        assert (failed.plvns, failed.reason) == ((P1,), "worker died")

    def test_rows_are_packed_below_the_chunk_size(self) -> None:
        message = round_of(P1).message
        assert isinstance(message, MetaRoundStarted)
        rows = {PlvnId(f"p{n:02}"): row(float(n)) for n in range(12)}
        packed = list(gradient_messages(message, rows, SETTINGS.rows_per_message))
        assert [r.plvn for m in packed for r in m.rows] == sorted(rows)
        assert all(len(m.gradients.blob) < 250_000 for m in packed)
        arrays = packed[1].gradients.unpack()
        first = SETTINGS.rows_per_message
        assert arrays["gradient"][0].tolist() == rows[PlvnId(f"p{first:02}")].gradient.tolist()

    def test_a_twin_has_its_own_seed_wherever_it_is_computed(self) -> None:
        assert seed_of(7, P1) == seed_of(7, P1)
        assert len({seed_of(7, P1), seed_of(7, P2), seed_of(8, P1)}) == 3


class TestJobs:
    def test_results_for_twins_that_have_gone_do_nothing(self) -> None:
        key = Adapting(PlvnId("p9"), COOP_PERCEPTION, 1)
        assert server(P1).receive(JobDone(key, result(1.0)), 1.0) == [Count("results_outdated")]
        assert server(P1).receive(JobFailed(key, "x"), 1.0) == []

    def test_an_unknown_result_is_tallied(self) -> None:
        unknown: Sequence[Effect] = server(P1).receive(JobDone("steer", 1), 1.0)
        assert unknown == [Count("results_unknown")]
