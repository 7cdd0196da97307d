"""Whom an agent obeys, and what it makes of acknowledgements and refusals."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.plvn_agent.agents import (
    CHECKING,
    E1,
    E2,
    EDGE,
    OPEN,
    OTHER,
    P1,
    PROFILE,
    THIEF,
    TOY,
    actions,
    agent,
    baseline,
    granted,
    managed,
    measured,
    messages,
    model,
    received,
    row_of_slot,
    run,
)
from tests.support.toy_inmf import toy
from twintier.plvn_agent.core import AgentCore
from twintier.plvn_agent.keys import Timer
from twintier.plvn_agent.ownership import AgentRecord, Order
from twintier.protocol.ids import InmfId, PlvnId
from twintier.protocol.messages import (
    GrantRenewed,
    MessageReturned,
    ModelApplied,
    ModelRefused,
    ModelRequested,
    RegistrationGranted,
    RegistrationRequested,
    StreamPosition,
    TelemetryReported,
    UploadsAcknowledged,
)
from twintier.protocol.values import Fence
from twintier.runtime.core import Received, Started, TimerFired
from twintier.runtime.effects import (
    CancelTimer,
    ConfirmUploads,
    Count,
    Publish,
    Save,
    StartTimer,
)

ACKNOWLEDGED = UploadsAcknowledged(
    positions=(StreamPosition(boot="b", stream="s", seq=3, again=False),)
)
RETURNED = MessageReturned(
    type="performance-reported.v1", boot="b", stream="s", seq=4, code="failed", reason="why"
)
NOT_OWNER = [Count("not_owner")]


def acts(core: AgentCore, inmf: InmfId = TOY) -> str:
    return core.controllers[inmf].policy.acts


def pauses(plvn: str) -> list[float]:
    """Between the first eight requests of an agent that nobody answers."""
    core = AgentCore(replace(PROFILE, plvn=PlvnId(plvn)), OPEN, {TOY: toy()})
    effects = [*core.receive(Started(), 0.0)]
    for _ in range(7):
        effects += core.receive(TimerFired(Timer.REGISTER), 0.0)
    return [e.after_s for e in effects if isinstance(e, StartTimer) and e.key == Timer.REGISTER]


class TestRegistration:
    def test_requests_come_ever_more_rarely_up_to_a_limit(self) -> None:
        for pause_s, factor in zip(pauses("p1"), [1, 2, 4, 8, 16, 16, 16, 16], strict=True):
            assert 0.5 <= pause_s / (OPEN.retry_s * factor) < 1.5

    def test_all_inmfs_are_asked_for_at_once(self) -> None:
        core = agent(inmfs=[toy(), toy("other")])
        (asked,) = messages(core.receive(TimerFired(Timer.REGISTER), 0.0))
        assert isinstance(asked, RegistrationRequested)
        assert asked.requested_inmfs == (TOY, OTHER)

    def test_a_fleet_does_not_ask_in_step(self) -> None:
        assert len({pauses(f"p{number}")[5] for number in range(100)}) == 100


class TestGrants:
    def test_a_grant_is_kept_and_the_model_asked_for(self) -> None:
        core = agent()
        effects = core.receive(granted(), 0.0)
        assert effects[:2] == [CancelTimer(Timer.REGISTER), Save(AgentRecord(P1, E1, Fence(1)))]
        assert messages(effects) == [ModelRequested(inmf=TOY)]

    def test_a_fence_never_falls_not_even_over_a_restart(self) -> None:
        core = agent(record=AgentRecord(P1, E2, Fence(5)))
        assert core.receive(granted(fence=4), 0.0) == [Count("stale_fence")]
        assert core.owner.record == AgentRecord(P1, E2, Fence(5))

    @pytest.mark.parametrize("key", [None, THIEF])
    def test_a_grant_that_the_cloud_twin_did_not_sign_is_void(
        self, key: Ed25519PrivateKey | None
    ) -> None:
        core = agent(CHECKING)
        assert core.receive(granted(key=key), 0.0) == [Count("grants_forged")]
        assert core.owner.record is None

    def test_who_moves_begins_to_count_orders_anew(self) -> None:
        core = managed()
        core.receive(received(baseline(7), boot="b9"), 1.0)
        core.receive(granted(E2, 2), 2.0)
        assert core.owner.record == AgentRecord(P1, E2, Fence(2))
        core.receive(granted(E2, 3), 3.0)
        effects = core.receive(received(baseline(1), "edge:e2", fence=3, boot="b1"), 4.0)
        assert Save(AgentRecord(P1, E2, Fence(3), ((TOY, Order("b1", 1)),))) in effects

    def test_an_inmf_that_nobody_knows_is_no_obstacle_for_the_others(self) -> None:
        core = agent(inmfs=[toy("other"), toy()])
        effects = core.receive(granted(unknown=(OTHER,)), 0.0)
        assert messages(effects) == [ModelRequested(inmf=TOY)]
        assert Count("inmfs_unknown") in effects
        for slot in range(2):
            effects = core.receive(measured(slot, toy=row_of_slot(), other=row_of_slot()), 0.0)
            assert actions(effects) == {TOY: (0.0, 1.0), OTHER: (0.0, 1.0)}
        (reported,) = messages(effects)
        assert isinstance(reported, TelemetryReported)
        assert [each.inmf for each in reported.measured] == [TOY]

    def test_what_nobody_knows_may_be_said_after_the_first_grant(self) -> None:
        core = agent(inmfs=[toy("other"), toy()])
        registered = granted().message
        assert isinstance(registered, RegistrationGranted)
        renewed = GrantRenewed(grant=registered.grant)
        assert len(messages(core.receive(received(renewed, "cloud:cloud"), 0.0))) == 2
        effects = core.receive(granted(unknown=(OTHER,)), 1.0)
        assert effects == [CancelTimer(Timer.REGISTER), Count("inmfs_unknown")]
        assert core.receive(granted(unknown=(OTHER,)), 2.0) == [CancelTimer(Timer.REGISTER)]
        assert not core.controllers[OTHER].uploads

    def test_what_is_not_granted_is_not_uploaded(self) -> None:
        core = agent()
        effects = run(core, range(6))
        assert messages(effects) == []
        assert effects.count(Count("slots_unowned")) == 6


class TestOrders:
    def test_the_owners_order_is_obeyed_and_remembered(self) -> None:
        core = managed()
        effects = core.receive(received(model(3)), 1.0)
        assert Save(AgentRecord(P1, E1, Fence(1), ((TOY, Order("b1", 3)),))) in effects
        (applied,) = messages(effects)
        assert isinstance(applied, ModelApplied)
        assert (applied.version, applied.model) == (3, model(3).model)
        assert acts(core) == "individual_model"

    @pytest.mark.parametrize(
        "order",
        [
            received(model(3), "edge:e2"),
            received(model(3), fence=2),
            received(model(3), "cloud:cloud"),
        ],
    )
    def test_nobody_elses_order_is_obeyed(self, order: Received) -> None:
        core = managed()
        assert core.receive(order, 1.0) == NOT_OWNER
        assert acts(core) == "baseline"

    @pytest.mark.parametrize("key", [None, THIEF])
    def test_a_stolen_key_of_another_edge_server_rules_nothing_here(
        self, key: Ed25519PrivateKey | None
    ) -> None:
        core = managed(CHECKING)
        assert core.receive(received(model(3), key=key), 1.0) == NOT_OWNER
        assert messages(core.receive(received(model(3), key=EDGE), 1.0)) != []

    def test_an_order_from_before_is_void_even_after_a_restart(self) -> None:
        record = AgentRecord(P1, E1, Fence(1), ((TOY, Order("b5", 4)),))
        for boot, version in (("b5", 3), ("b4", 9)):
            core = agent(record=record)
            outdated = core.receive(received(baseline(version), boot=boot), 1.0)
            assert outdated == [Count("models_outdated")]
        core = agent(record=record)
        assert messages(core.receive(received(model(4), boot="b5"), 1.0)) != []
        assert acts(core) == "individual_model"

    def test_a_repeated_order_is_answered_again_and_changes_nothing(self) -> None:
        core = managed()
        core.receive(received(model(3)), 1.0)
        obeyed = core.controllers[TOY].policy.model
        (again,) = core.receive(received(model(3)), 2.0)
        assert isinstance(again, Publish)
        assert isinstance(again.message, ModelApplied)
        assert core.controllers[TOY].policy.model is obeyed

    def test_an_order_concerns_its_inmf_alone(self) -> None:
        core = managed(inmfs=[toy(), toy("other")])
        core.receive(received(model(3)), 1.0)
        assert (acts(core), acts(core, OTHER)) == ("individual_model", "baseline")
        effects = core.receive(received(model(1, toy("other"))), 2.0)
        orders = ((OTHER, Order("b1", 1)), (TOY, Order("b1", 3)))
        assert Save(AgentRecord(P1, E1, Fence(1), orders)) in effects
        core.receive(received(baseline(4)), 3.0)
        assert (acts(core), acts(core, OTHER)) == ("baseline", "individual_model")

    def test_an_inmf_that_is_not_here_is_refused(self) -> None:
        core = managed()
        order = model(1, toy("other"))
        refused, counted = core.receive(received(order), 1.0)
        assert isinstance(refused, Publish)
        assert refused.message == ModelRefused(
            inmf=OTHER, version=1, code="unknown_inmf", reason="other is not installed here"
        )
        assert counted == Count("models_refused")
        assert core.receive(received(baseline(1, OTHER)), 1.0) == [Count("models_refused")]


class TestUploads:
    def test_only_the_owner_acknowledges(self) -> None:
        core = managed()
        assert core.receive(received(ACKNOWLEDGED), 1.0) == [ConfirmUploads(ACKNOWLEDGED)]
        assert core.receive(received(ACKNOWLEDGED, fence=9), 1.0) == [ConfirmUploads(ACKNOWLEDGED)]
        assert core.receive(received(ACKNOWLEDGED, "edge:e2"), 1.0) == NOT_OWNER

    def test_a_forged_acknowledgement_loses_nothing(self) -> None:
        core = managed(CHECKING)
        assert core.receive(received(ACKNOWLEDGED, key=THIEF), 1.0) == NOT_OWNER
        assert core.receive(received(ACKNOWLEDGED, key=EDGE), 1.0) == [ConfirmUploads(ACKNOWLEDGED)]

    def test_only_a_refusal_of_the_owner_ends_an_upload(self) -> None:
        core, counted = managed(), Count("returned.failed")
        assert core.receive(received(RETURNED), 1.0) == [ConfirmUploads(RETURNED), counted]
        assert core.receive(received(RETURNED, "cloud:cloud"), 1.0) == [counted]
        assert core.receive(received(RETURNED, "edge:e2"), 1.0) == NOT_OWNER

    @pytest.mark.parametrize("key", [None, THIEF])
    def test_a_forged_refusal_loses_nothing(self, key: Ed25519PrivateKey | None) -> None:
        core, counted = managed(CHECKING), Count("returned.failed")
        assert core.receive(received(RETURNED, key=key), 1.0) == NOT_OWNER
        assert core.receive(received(RETURNED, "cloud:cloud", key=key), 1.0) == [counted]
        assert core.receive(received(RETURNED, key=EDGE), 1.0) == [
            ConfirmUploads(RETURNED),
            counted,
        ]
