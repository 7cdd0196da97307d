"""The cloud twin's answers, effect by effect."""

from dataclasses import replace

import numpy as np
import pytest

from tests.cloud_twin.training_setup import INMF, QUICK, SIZE, alike, gradients
from tests.cloud_twin.world import (
    CID,
    E1,
    E2,
    KEY,
    P1,
    P2,
    REQUEST,
    SITE,
    attributes,
    cloud,
    grant,
    hosted,
    published,
    received,
    registration,
    status,
    with_twins,
)
from twintier.cloud_twin.core import CloudCore
from twintier.cloud_twin.keys import Placement, RoundDeadline, RoundPause, Timer
from twintier.cloud_twin.library import MetaModel
from twintier.cloud_twin.planner import TrainingRecord
from twintier.cloud_twin.registry import PlvnRecord
from twintier.protocol.address import Address
from twintier.protocol.ids import SUPER_CATEGORY, CategoryKey, EdgeId, InmfId, PlvnId
from twintier.protocol.messages import (
    CategoryAssigned,
    CloudStatusReported,
    GradientsFailed,
    GrantRenewed,
    LibraryIndexed,
    MetaModelMissing,
    MetaModelOffered,
    MetaModelRequested,
    MetaRoundStarted,
    RegistrationGranted,
    RegistrationRefused,
    RegistrationRequested,
    TwinPlaced,
)
from twintier.protocol.tensors import Tensors, model_id
from twintier.protocol.values import Fence
from twintier.runtime.core import JobDone, Started, TimerFired
from twintier.runtime.effects import CancelTimer, Count, Publish, Save, StartTimer

PLANNING = replace(QUICK, planning_s=60.0)
RECORD = PlvnRecord(P1, SITE, (INMF,), E1, Fence(1))
RETRY = StartTimer(Placement(P1), QUICK.placement_retry_s)


def placement(plvn: PlvnId = P1, edge: str = E1, fence: int = 1) -> Publish:
    given = grant(plvn, edge, fence)  # type: ignore[arg-type]
    message = TwinPlaced(grant=given, site=SITE, requested_inmfs=(INMF,))
    return Publish(message, Address(plvn=plvn, edge=given.edge), fence=given.fence)


TAKEN_OVER = [
    Save(replace(RECORD, edge=E2, fence=Fence(2))),
    placement(edge=E2, fence=2),
    RETRY,
    Count("twins_replaced"),
]
"""What is done when the second edge server takes over the twin of the first."""


def ask_again(why: str) -> Publish:
    message = RegistrationRefused(code="no_edge_server", reason=f"{why}; ask again", retry_s=1.0)
    return Publish(message, Address(plvn=P1), cid=CID)


def granted(plvn: PlvnId = P1, fence: int = 1) -> Publish:
    message = RegistrationGranted(grant=grant(plvn, E1, fence), unknown_inmfs=())
    return Publish(message, Address(plvn=plvn), cid=CID, fence=Fence(fence))


def renewed(plvn: PlvnId = P1) -> Publish:
    return Publish(GrantRenewed(grant=grant(plvn)), Address(plvn=plvn), fence=Fence(1))


def answer_round(core: CloudCore, started: MetaRoundStarted, value: float = 1.0) -> list[object]:
    rows = gradients(started.job, started.iteration, alike(*started.plvns, value=value))
    return list(core.receive(received(rows, Address(edge=E1, inmf=INMF)), 1.0))


def train_super(core: CloudCore) -> MetaModel:
    """Answer rounds until the super model is in the library."""
    while (model := core.library.get(INMF, SUPER_CATEGORY)) is None:
        (training,) = core.planner.trainings.values()
        rows = gradients(training.job, training.iteration, alike(*training.expected))
        core.receive(received(rows, Address(edge=E1, inmf=INMF)), 1.0)
    return model


class TestRegistration:
    def test_a_plvn_is_placed_and_granted_once_its_edge_server_listens(self) -> None:
        core = cloud()
        assert core.receive(status(), 0.0) == []
        assert core.receive(registration(), 1.0) == [Save(RECORD), placement(), RETRY]
        assert core.receive(hosted(), 2.0) == [CancelTimer(Placement(P1)), granted()]

    def test_a_repeated_request_is_placed_again_without_another_save(self) -> None:
        core = cloud()
        core.receive(status(), 0.0)
        core.receive(registration(), 1.0)
        assert core.receive(registration(), 2.0) == [placement(), RETRY]

    def test_a_registered_plvn_that_restarts_is_granted_at_once(self) -> None:
        core = with_twins(cloud(), P1)
        assert core.receive(registration(), 3.0) == [granted()]

    def test_a_placement_is_sent_again_until_it_is_confirmed(self) -> None:
        core = cloud()
        core.receive(status(), 0.0)
        core.receive(registration(), 1.0)
        assert core.receive(TimerFired(Placement(P1)), 3.0) == [placement(), RETRY]
        core.receive(hosted(), 4.0)
        assert core.receive(TimerFired(Placement(P1)), 5.0) == []

    def test_a_confirmation_counts_once(self) -> None:
        core = with_twins(cloud(), P1)
        assert core.receive(hosted(), 3.0) == []

    def test_a_confirmation_under_another_fence_or_by_another_server_does_nothing(self) -> None:
        core = cloud()
        core.receive(status(), 0.0)
        core.receive(registration(), 1.0)
        assert core.receive(hosted(fence=2), 2.0) == [Count("stale_fence")]
        assert core.receive(hosted(edge=E2), 2.0) == [Count("stale_fence")]
        assert core.registry.confirmed == {}

    @pytest.mark.parametrize(("full", "code"), [(False, "no_edge_server"), (True, "no_capacity")])
    def test_a_plvn_without_a_server_is_refused(self, code: str, *, full: bool) -> None:
        core = cloud()
        if full:
            core.receive(status("offline"), 0.0)
        refusal, count = core.receive(registration(), 1.0)
        assert isinstance(refusal, Publish)
        assert isinstance(refusal.message, RegistrationRefused)
        assert (refusal.message.code, refusal.to, refusal.cid) == (code, Address(plvn=P1), CID)
        assert count == Count("registrations_refused")

    @pytest.mark.parametrize("left_over", [False, True])
    def test_a_new_plvn_waits_for_the_near_edge_server_if_it_is_expected(
        self, *, left_over: bool
    ) -> None:
        core = cloud(expected_edges=2)
        core.receive(Started(), 0.0)
        core.receive(status(edge=E2), 0.0)
        if left_over:
            core.receive(status("offline"), 0.0)  # retained, of before
        refused = [ask_again("1 of 2 edge servers are online"), Count("registrations_refused")]
        assert core.receive(registration(), 1.0) == refused
        core.receive(status(), 2.0)
        assert core.receive(registration(), 3.0) == [Save(RECORD), placement(), RETRY]

    def test_it_does_not_wait_for_ever(self) -> None:
        core = cloud(expected_edges=2)
        core.receive(Started(), 0.0)
        core.receive(status(edge=E2), 0.0)
        core.receive(registration(), 1.0)
        core.receive(TimerFired(Timer.SERVERS), QUICK.edges_wait_s)
        (placed,) = published(core.receive(registration(), 11.0), TwinPlaced)
        assert isinstance(placed, TwinPlaced)
        assert placed.grant.edge == E2

    def test_without_a_number_it_goes_to_whoever_is_there(self) -> None:
        core = cloud()
        core.receive(Started(), 0.0)
        core.receive(status(edge=E2), 0.0)
        assert published(core.receive(registration(), 0.1), TwinPlaced) != []

    def test_after_the_wait_a_full_server_is_said_to_be_full(self) -> None:
        core = cloud(expected_edges=2)
        core.receive(Started(), 0.0)
        core.receive(status("offline"), 0.0)
        core.receive(TimerFired(Timer.SERVERS), QUICK.edges_wait_s)
        refusal, _count = core.receive(registration(), 1000.0)
        assert isinstance(refusal, Publish)
        assert isinstance(refusal.message, RegistrationRefused)
        assert (refusal.message.code, refusal.message.retry_s) == ("no_capacity", 2.0)

    def test_an_inmf_that_is_not_managed_is_refused(self) -> None:
        core = cloud()
        core.receive(status(), 0.0)
        request = RegistrationRequested(site=SITE, requested_inmfs=(InmfId("other"),))
        (refusal,) = core.receive(received(request, Address(plvn=P1)), 1.0)
        assert isinstance(refusal, Publish)
        assert refusal.message == RegistrationRefused(
            code="unknown_inmf",
            reason="INMF 'other' is not managed here; known are coop-perception",
            retry_s=60.0,
        )
        assert core.registry.plvns == {}

    def test_other_requested_inmfs_reach_the_edge_server_at_once(self) -> None:
        core = with_twins(cloud(), P1)
        core.receive(attributes(), 1.0)
        twice = RegistrationRequested(site=SITE, requested_inmfs=(INMF, INMF))
        effects = core.receive(received(twice, Address(plvn=P1)), 2.0)
        changed = replace(RECORD, requested_inmfs=(INMF, INMF), category=KEY)
        placed = TwinPlaced(grant=grant(), site=SITE, requested_inmfs=(INMF, INMF))
        told = Publish(placed, Address(plvn=P1, edge=E1), fence=Fence(1))
        assert list(effects) == [Save(changed), told, granted()]
        assert P1 not in core.registry.sent_matches


class TestOwnership:
    def test_an_edge_server_that_restarts_gets_its_twins_again(self) -> None:
        core = with_twins(cloud(), P1, P2)
        assert core.receive(status(boot="b1"), 1.0) == []
        again = core.receive(status(boot="b2"), 2.0)
        retry_2 = StartTimer(Placement(P2), QUICK.placement_retry_s)
        assert again == [placement(), RETRY, placement(P2), retry_2]
        assert core.receive(hosted(), 3.0) == [CancelTimer(Placement(P1)), renewed()]

    def test_twins_of_a_server_that_leaves_go_to_another_under_a_new_fence(self) -> None:
        core = with_twins(cloud(), P1)
        core.receive(status(edge=E2), 1.0)
        assert core.receive(status("offline"), 2.0) == TAKEN_OVER
        assert core.receive(attributes(), 3.0) == [Count("stale_fence")]

    def test_after_a_start_twins_stay_with_a_server_whose_status_is_late(self) -> None:
        core = cloud([RECORD])
        core.receive(Started(), 100.0)
        core.receive(status(edge=E2), 100.1)
        assert core.receive(status("offline", edge=EdgeId("e3")), 100.2) == []
        refused = [ask_again("edge server e1 has not reported yet"), Count("registrations_refused")]
        assert core.receive(registration(), 100.3) == refused
        core.receive(status(), 100.4)
        assert core.receive(registration(), 100.5) == [placement(), RETRY]
        assert core.receive(TimerFired(Timer.SERVERS), 110.0) == []

    def test_after_a_start_twins_stay_with_a_server_that_is_about_to_come_back(self) -> None:
        core = cloud([RECORD], expected_edges=2)
        core.receive(Started(), 100.0)
        core.receive(status(edge=E2), 100.1)
        assert core.receive(status("offline"), 100.2) == []  # retained, of before
        refused = [ask_again("1 of 2 edge servers are online"), Count("registrations_refused")]
        assert core.receive(registration(), 100.3) == refused
        assert core.receive(status(boot="b2"), 101.0) == [placement(), RETRY]

    def test_twins_of_a_server_that_does_not_report_after_a_start_go_to_another(self) -> None:
        core = cloud([RECORD])
        started = core.receive(Started(), 100.0)
        assert StartTimer(Timer.SERVERS, QUICK.edges_wait_s) in started
        core.receive(status(edge=E2), 100.1)
        assert core.receive(TimerFired(Timer.SERVERS), 110.0) == TAKEN_OVER

    def test_twins_of_a_server_whose_lease_ends_go_to_another(self) -> None:
        core = with_twins(cloud(), P1)
        core.receive(status(edge=E2), 10.0)
        effects = core.receive(TimerFired(Timer.GRANTS), 16.0)
        assert effects[:2] == TAKEN_OVER[:2]
        assert core.registry.is_owner(P1, E2, Fence(2))

    def test_without_another_server_a_twin_waits_for_its_own(self) -> None:
        core = with_twins(cloud(), P1)
        assert core.receive(status("offline"), 1.0) == []
        assert core.registry.plvns[P1] == RECORD

    def test_grants_are_prolonged(self) -> None:
        core = with_twins(cloud(), P1)
        timer = StartTimer(Timer.GRANTS, QUICK.grant_valid_s / 4)
        assert core.receive(TimerFired(Timer.GRANTS), 5.0) == [timer, renewed(), placement()]

    def test_a_restarted_cloud_twin_tells_its_status_grants_and_library(self) -> None:
        core = cloud([RECORD])
        online = CloudStatusReported(
            state="online", lease_s=15.0, phase="online", iterations=0, iterations_planned=0
        )
        assert core.receive(Started(), 0.0) == [
            Publish(online),
            StartTimer(Timer.LEASE, 5.0),
            StartTimer(Timer.SERVERS, QUICK.edges_wait_s),
            StartTimer(Timer.GRANTS, QUICK.grant_valid_s / 4),
            placement(),
        ]

    def test_it_says_that_it_leaves(self) -> None:
        (left,) = cloud().goodbye()
        assert isinstance(left, Publish)
        assert isinstance(left.message, CloudStatusReported)
        assert left.message.state == "offline"


class TestCategories:
    def test_a_new_category_is_saved_answered_and_starts_training(self) -> None:
        core = with_twins(cloud(), P1)
        saved, answer, *rest = core.receive(attributes(), 3.0)
        assert saved == Save(replace(RECORD, category=KEY))
        assigned = CategoryAssigned(category=KEY, known=False, category_version=1, matches=())
        assert answer == Publish(assigned, Address(plvn=P1, edge=E1), fence=Fence(1))
        (started,) = published(rest, MetaRoundStarted)
        assert isinstance(started, MetaRoundStarted)
        assert (started.job, started.plvns, started.iteration) == ("super-1", ("p1",), 0)
        assert rest[-1] == StartTimer(RoundDeadline("super-1"), QUICK.round_deadline_s)

    def test_the_same_category_again_does_nothing(self) -> None:
        core = with_twins(cloud(), P1)
        core.receive(attributes(), 3.0)
        assert core.receive(attributes(), 13.0) == []

    def test_a_known_category_is_answered_as_known(self) -> None:
        core = with_twins(cloud(), P1, P2)
        core.receive(attributes(), 3.0)
        (assigned,) = published(core.receive(attributes(P2), 4.0), CategoryAssigned)
        assert isinstance(assigned, CategoryAssigned)
        assert assigned.known

    def test_a_category_that_is_not_canonical_is_tallied(self) -> None:
        core = with_twins(cloud(), P1)
        bad = attributes(category=CategoryKey("tod=day|city=berlin"))
        assert core.receive(bad, 3.0) == [Count("invalid_category")]
        assert core.registry.plvns[P1].category is None

    def test_a_finished_model_is_saved_indexed_and_matched(self) -> None:
        core = with_twins(cloud(iterations=1), P1)
        (started,) = published(core.receive(attributes(), 3.0), MetaRoundStarted)
        assert isinstance(started, MetaRoundStarted)
        effects = answer_round(core, started)
        model = core.library.models[INMF, SUPER_CATEGORY]
        assert effects[:5] == [
            Count("gradients.counted", 1),
            Count("iterations"),
            Save(model),
            CancelTimer(RoundDeadline("super-1")),
            effects[4],
        ]
        (indexed,) = published(effects, LibraryIndexed)  # type: ignore[arg-type]
        (assigned,) = published(effects, CategoryAssigned)  # type: ignore[arg-type]
        assert isinstance(indexed, LibraryIndexed)
        assert isinstance(assigned, CategoryAssigned)
        assert indexed.model == model.model == model_id("test/v1", model.weights.init)
        (match,) = assigned.matches
        assert (match.category, match.version, match.candidates) == ("", 1, ("",))
        assert (assigned.category_version, assigned.known) == (2, True)


class TestLibrary:
    def request(self, category: str) -> Publish:
        core = with_twins(cloud(iterations=1), P1)
        core.receive(attributes(), 3.0)
        train_super(core)
        wanted = MetaModelRequested(inmf=INMF, category=category, version=0)
        (answer,) = core.receive(received(wanted, Address(edge=E1)), 5.0)
        assert isinstance(answer, Publish)
        assert (answer.to, answer.cid) == (Address(edge=E1, inmf=INMF), CID)
        return answer

    def test_a_meta_model_is_offered(self) -> None:
        offered = self.request("").message
        assert isinstance(offered, MetaModelOffered)
        assert (offered.version, offered.schema_id) == (1, "test/v1")
        assert offered.model == model_id("test/v1", offered.parameters.floats("init"))
        assert offered.parameters.floats("log_step_sizes").shape == (SIZE,)

    @pytest.mark.parametrize(
        ("category", "code"), [("city=berlin", "not_trained"), ("city=oslo", "unknown_category")]
    )
    def test_a_meta_model_that_is_not_there_is_missing(self, category: str, code: str) -> None:
        missing = self.request(category).message
        assert isinstance(missing, MetaModelMissing)
        assert (missing.code, missing.category) == (code, category)


class TestRounds:
    def test_each_edge_server_gets_its_own_twins(self) -> None:
        core = with_twins(with_twins(cloud(), P2, edge=E2), P1)
        core.receive(attributes(P2, E2), 1.0)
        core.receive(attributes(), 1.0)
        effects = core.receive(TimerFired(RoundDeadline("super-1")), 2.0)
        sent = [e for e in effects if isinstance(e, Publish)]
        assert [e.to for e in sent] == [Address(edge=E1, inmf=INMF), Address(edge=E2, inmf=INMF)]
        rounds = published(effects, MetaRoundStarted)
        assert [r.plvns for r in rounds if isinstance(r, MetaRoundStarted)] == [(P1,), (P2,)]

    def test_a_row_of_one_who_does_not_host_the_twin_leaves_its_place_to_the_owner(self) -> None:
        core = with_twins(with_twins(cloud(), P2, edge=E2), P1)
        core.receive(attributes(), 1.0)
        rows = gradients("super-1", 0, alike("p1", value=500.0))
        foreign = received(rows, Address(edge=E2, inmf=INMF))
        assert core.receive(foreign, 2.0) == [Count("gradients.not_owner")]
        own = received(gradients("super-1", 0, alike("p1")), Address(edge=E1, inmf=INMF))
        assert Count("gradients.counted") in core.receive(own, 2.0)

    def test_a_row_of_wrong_length_leaves_its_place_to_the_right_one(self) -> None:
        core = with_twins(cloud(), P1)
        core.receive(attributes(), 1.0)
        to = Address(edge=E1, inmf=INMF)
        short = gradients("super-1", 0, {"p1": [1.0] * (SIZE - 1)})
        assert core.receive(received(short, to), 2.0) == [Count("gradients.malformed")]
        right = gradients("super-1", 0, alike("p1"))
        assert Count("gradients.counted") in core.receive(received(right, to), 2.0)

    def test_a_round_ends_as_soon_as_the_edge_server_it_waits_for_is_gone(self) -> None:
        core = with_twins(with_twins(cloud(), P2, edge=E2), P1)
        core.receive(attributes(P2, E2), 1.0)
        core.receive(attributes(), 1.0)
        core.receive(TimerFired(RoundDeadline("super-1")), 2.0)  # the first round knew P2 only
        own = received(gradients("super-1", 0, alike("p1")), Address(edge=E1, inmf=INMF))
        core.receive(own, 3.0)
        effects = core.receive(status("offline", edge=E2), 4.0)
        assert Count("gradients.gone") in effects
        assert Count("iterations") in effects

    def test_a_late_gradient_does_nothing(self) -> None:
        core = with_twins(cloud(), P1)
        core.receive(attributes(), 3.0)
        late = received(gradients("super-1", 9, alike("p1")), Address(edge=E1, inmf=INMF))
        assert core.receive(late, 4.0) == [Count("gradients.late")]
        unknown = received(gradients("other-1", 0, alike("p1")), Address(edge=E1, inmf=INMF))
        assert core.receive(unknown, 4.0) == [Count("gradients.late")]

    def test_a_deadline_ends_a_round_with_what_is_there(self) -> None:
        core = with_twins(cloud(), P1, P2)
        core.receive(attributes(), 3.0)
        core.receive(attributes(P2), 3.0)
        core.receive(TimerFired(RoundDeadline("super-1")), 4.0)  # the first round knew P1 only
        assert core.planner.trainings["super-1"].expected == {P1, P2}
        rows = received(gradients("super-1", 0, alike("p2")), Address(edge=E1, inmf=INMF))
        assert core.receive(rows, 5.0) == [Count("gradients.counted")]
        effects = core.receive(TimerFired(RoundDeadline("super-1")), 6.0)
        assert effects[:2] == [Count("gradients.missing"), Count("iterations")]
        (started,) = published(effects, MetaRoundStarted)
        assert isinstance(started, MetaRoundStarted)
        assert started.iteration == 1

    def test_a_round_in_which_all_fail_is_repeated_and_then_paused(self) -> None:
        core = with_twins(cloud(round_attempts=2), P1)
        core.receive(attributes(), 3.0)
        failed = GradientsFailed(job="super-1", iteration=0, plvns=(P1,), reason="no telemetry")
        message = received(failed, Address(edge=E1, inmf=INMF))
        first = core.receive(message, 4.0)
        assert first[:3] == [
            Count("gradients.failed"),
            Count("gradients.refused"),
            Count("rounds_empty"),
        ]
        assert len(published(first, MetaRoundStarted)) == 1
        second = core.receive(message, 5.0)
        assert second[3:] == [
            StartTimer(RoundPause("super-1"), QUICK.pause_s),
            Count("rounds_paused"),
        ]
        after = core.receive(TimerFired(RoundPause("super-1")), 14.0)
        assert len(published(after, MetaRoundStarted)) == 1

    def test_a_round_without_hosted_twins_is_paused(self) -> None:
        core = with_twins(cloud(), P1)
        core.receive(status("offline"), 1.0)
        core.registry.attributes.clear()
        effects = core.receive(attributes(), 3.0)
        assert effects[-2:] == [
            StartTimer(RoundPause("super-1"), QUICK.pause_s),
            Count("rounds_paused"),
        ]

    def test_progress_is_saved_every_few_iterations(self) -> None:
        core = with_twins(cloud(), P1)
        core.receive(attributes(), 3.0)
        saved = []
        for iteration in range(3):
            rows = gradients("super-1", iteration, alike("p1"))
            effects = core.receive(received(rows, Address(edge=E1, inmf=INMF)), 4.0)
            saved += [e.record for e in effects if isinstance(e, Save)]
        assert [type(record) for record in saved] == [TrainingRecord]
        (record,) = saved
        assert isinstance(record, TrainingRecord)
        assert (record.iteration, record.rewards) == (2, (1.0, 1.0))

    def test_torn_gradients_are_tallied_and_the_round_goes_on(self) -> None:
        core = with_twins(cloud(), P1)
        core.receive(attributes(), 3.0)
        whole = gradients("super-1", 0, alike("p1"))
        bare = Tensors.pack({"gradient": np.ones((1, SIZE), np.float32)})
        torn = whole.model_copy(update={"gradients": bare})
        to = Address(edge=E1, inmf=INMF)
        assert core.receive(received(torn, to), 4.0) == [Count("gradients.malformed")]
        assert Count("iterations") in core.receive(received(whole, to), 5.0)


class TestPlanning:
    def test_planning_begins_when_no_more_twins_come(self) -> None:
        core = cloud(settings=PLANNING)
        core.receive(status(), 0.0)
        core.receive(registration(), 0.0)
        core.receive(hosted(), 0.0)
        assert core.receive(attributes(), 1.0)[-1] == StartTimer(
            Timer.PLANNING_PAUSE, PLANNING.planning_pause_s
        )
        begun = core.receive(TimerFired(Timer.PLANNING_PAUSE), 4.0)
        assert begun[:2] == [StartTimer(Timer.SUPER, 36.0), StartTimer(Timer.PLANNING, 60.0)]
        assert len(published(begun, MetaRoundStarted)) == 1
        assert core.receive(TimerFired(Timer.PLANNING_PAUSE), 5.0) == []

    def test_planning_begins_at_once_when_the_expected_twins_are_there(self) -> None:
        core = with_twins(cloud(settings=replace(PLANNING, expected_plvns=2)), P1, P2)
        assert core.receive(attributes(), 1.0)[-1] == StartTimer(
            Timer.PLANNING_PAUSE, PLANNING.planning_pause_s
        )
        assert core.receive(attributes(P2), 1.0)[-1] == StartTimer(Timer.PLANNING_PAUSE, 0.0)

    def test_a_repeated_confirmation_does_not_put_planning_off(self) -> None:
        core = with_twins(cloud(settings=PLANNING), P1)
        core.receive(attributes(), 1.0)
        assert core.receive(hosted(), 2.0) == []
        assert core.receive(hosted(fence=2), 2.0) == [Count("stale_fence")]

    def test_planning_ends_when_nothing_is_left_to_train(self) -> None:
        core = with_twins(cloud(settings=replace(PLANNING, iterations=1)), P1)
        core.receive(attributes(), 1.0)
        core.receive(TimerFired(Timer.PLANNING_PAUSE), 4.0)
        rows = received(gradients("super-1", 0, alike("p1")), Address(edge=E1, inmf=INMF))
        effects = core.receive(rows, 5.0)
        assert core.phase == "online"
        assert effects[-3:] == [
            effects[-3],
            CancelTimer(Timer.SUPER),
            CancelTimer(Timer.PLANNING),
        ]
        (told,) = published(effects, CloudStatusReported)
        assert isinstance(told, CloudStatusReported)
        assert (told.phase, told.iterations, told.iterations_planned) == ("online", 1, 1)

    def test_what_is_not_emulated_ends_planning_at_once_and_is_trained_online(self) -> None:
        core = with_twins(cloud(settings=PLANNING, emulated=False), P1)
        core.receive(attributes(), 1.0)
        effects = core.receive(TimerFired(Timer.PLANNING_PAUSE), 4.0)
        assert core.phase == "online"
        (untrained,) = published(effects, LibraryIndexed)
        assert isinstance(untrained, LibraryIndexed)
        assert (untrained.version, untrained.iterations) == (1, 0)
        (round_started,) = published(effects, MetaRoundStarted)
        assert isinstance(round_started, MetaRoundStarted)
        assert round_started.job == "super-1"

    def test_the_end_of_planning_keeps_what_is_good_enough_and_is_told_once(self) -> None:
        core = with_twins(cloud(settings=PLANNING), P1)
        core.receive(attributes(), 1.0)
        core.receive(TimerFired(Timer.PLANNING_PAUSE), 4.0)
        for iteration in range(PLANNING.min_iterations):
            rows = gradients("super-1", iteration, alike("p1"))
            core.receive(received(rows, Address(edge=E1, inmf=INMF)), 5.0)
        effects = core.receive(TimerFired(Timer.PLANNING), 64.0)
        assert len(published(effects, LibraryIndexed)) == 1
        assert len(published(effects, CloudStatusReported)) == 1
        assert core.phase == "online"
        assert core.receive(TimerFired(Timer.PLANNING), 65.0) == []

    def test_the_super_model_yields_after_its_share_only_when_it_is_good_enough(self) -> None:
        core = with_twins(cloud(settings=PLANNING), P1)
        core.receive(attributes(), 1.0)
        core.receive(TimerFired(Timer.PLANNING_PAUSE), 4.0)
        assert core.receive(TimerFired(Timer.SUPER), 5.0) == []
        for iteration in range(PLANNING.min_iterations):
            rows = gradients("super-1", iteration, alike("p1"))
            core.receive(received(rows, Address(edge=E1, inmf=INMF)), 6.0)
        assert len(published(core.receive(TimerFired(Timer.SUPER), 7.0), LibraryIndexed)) == 1

    def test_what_is_none_of_its_business_does_nothing(self) -> None:
        core = cloud()
        assert core.receive(JobDone("key", None), 0.0) == []
        assert core.receive(TimerFired("nonsense"), 0.0) == []
        assert REQUEST.requested_inmfs == (INMF,)
