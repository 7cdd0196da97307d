"""Whom an agent obeys, and what it makes of acknowledgements and refusals."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.names import COOP_PERCEPTION
from twintier.plvn_agent.core import POLICY, AgentCore, AgentRecord
from twintier.plvn_agent.keys import Timer
from twintier.plvn_agent.settings import AgentSettings
from twintier.plvn_agent.source import PlvnProfile
from twintier.protocol.address import Address
from twintier.protocol.catalogue import row_of
from twintier.protocol.envelope import Envelope
from twintier.protocol.ids import EdgeId, PlvnId
from twintier.protocol.messages import (
    BaselineOrdered,
    Grant,
    MessageReturned,
    ModelApplied,
    ModelDispatched,
    ModelRequested,
    RegistrationGranted,
    Site,
    StreamPosition,
    UploadsAcknowledged,
)
from twintier.protocol.messages.base import Message
from twintier.protocol.signing import Signature, sign_grant, sign_message, verify_key_of
from twintier.protocol.tensors import Tensors, model_id
from twintier.protocol.values import Fence
from twintier.runtime.core import Received, Started, TimerFired
from twintier.runtime.effects import (
    CancelTimer,
    ConfirmUploads,
    Count,
    Effect,
    Publish,
    Save,
    StartTimer,
)

P1, E1, E2 = PlvnId("p1"), EdgeId("e1"), EdgeId("e2")
CLOUD, EDGE, THIEF = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3))
PROFILE = PlvnProfile(P1, Site(city="Berlin", road="Highway", lat_deg=52.5, lon_deg=13.4))
OPEN, CHECKING = AgentSettings(), AgentSettings(cloud_key=verify_key_of(CLOUD))
DOWN = Address(plvn=P1, inmf=COOP_PERCEPTION)
ACKNOWLEDGED = UploadsAcknowledged(
    positions=(StreamPosition(boot="b", stream="s", seq=3, again=False),)
)
RETURNED = MessageReturned(
    type="performance-reported.v1", boot="b", stream="s", seq=4, code="failed", reason="why"
)
NOT_OWNER = [Count("not_owner")]


def received(
    message: Message,
    src: str = "edge:e1",
    *,
    fence: int = 1,
    boot: str = "b1",
    key: Ed25519PrivateKey | None = None,
) -> Received:
    envelope = Envelope(
        type=row_of(type(message)).name,
        id=bytes(16),
        src=src,
        boot=boot,
        stream="s",
        seq=1,
        ts_ns=0,
        fence=Fence(fence),
    )
    signature = None if key is None else Signature("t", b"x", sign_message(key, "t", b"x"))
    return Received(message, envelope, DOWN, signature)


def granted(edge: EdgeId = E1, fence: int = 1, key: Ed25519PrivateKey | None = None) -> Received:
    grant = Grant(
        plvn=P1, edge=edge, fence=Fence(fence), valid_s=60.0, edge_key=verify_key_of(EDGE)
    )
    signed = grant if key is None else sign_grant(key, grant)
    return received(RegistrationGranted(grant=signed), "cloud:cloud", fence=fence)


def managed(settings: AgentSettings = OPEN) -> AgentCore:
    core = AgentCore(PROFILE, settings)
    core.receive(granted(key=CLOUD), 0.0)
    return core


def baseline(version: int) -> BaselineOrdered:
    return BaselineOrdered(inmf=COOP_PERCEPTION, version=version, reason="guard")


def model(version: int) -> ModelDispatched:
    parameters = np.zeros(POLICY.parameters, np.float32)
    return ModelDispatched(
        inmf=COOP_PERCEPTION,
        version=version,
        purpose="final",
        model=model_id(POLICY.schema_id, parameters),
        schema_id=POLICY.schema_id,
        parameters=Tensors.pack({"parameters": parameters}),
        trajectory_slots=15,
    )


def answers(effects: Sequence[Effect]) -> list[Message]:
    return [effect.message for effect in effects if isinstance(effect, Publish)]


def pauses(plvn: str) -> list[float]:
    """Between the first eight requests of an agent that nobody answers."""
    core = AgentCore(replace(PROFILE, plvn=PlvnId(plvn)), OPEN)
    effects = [*core.receive(Started(), 0.0)]
    for _ in range(7):
        effects += core.receive(TimerFired(Timer.REGISTER), 0.0)
    return [e.after_s for e in effects if isinstance(e, StartTimer) and e.key == Timer.REGISTER]


class TestRegistration:
    def test_requests_come_ever_more_rarely_up_to_a_limit(self) -> None:
        for pause_s, factor in zip(pauses("p1"), [1, 2, 4, 8, 16, 16, 16, 16], strict=True):
            assert 0.5 <= pause_s / (OPEN.retry_s * factor) < 1.5

    def test_a_fleet_does_not_ask_in_step(self) -> None:
        assert len({pauses(f"p{number}")[5] for number in range(100)}) == 100


class TestGrants:
    def test_a_grant_is_kept_and_the_model_asked_for(self) -> None:
        core = AgentCore(PROFILE, OPEN)
        effects = core.receive(granted(), 0.0)
        assert effects[:2] == [CancelTimer(Timer.REGISTER), Save(AgentRecord(P1, E1, Fence(1)))]
        assert answers(effects) == [ModelRequested(inmf=COOP_PERCEPTION)]

    def test_a_fence_never_falls_not_even_over_a_restart(self) -> None:
        core = AgentCore(PROFILE, OPEN, record=AgentRecord(P1, E2, Fence(5)))
        assert core.receive(granted(fence=4), 0.0) == [Count("stale_fence")]
        assert core.record == AgentRecord(P1, E2, Fence(5))

    @pytest.mark.parametrize("key", [None, THIEF])
    def test_a_grant_that_the_cloud_twin_did_not_sign_is_void(
        self, key: Ed25519PrivateKey | None
    ) -> None:
        core = AgentCore(PROFILE, CHECKING)
        assert core.receive(granted(key=key), 0.0) == [Count("grants_forged")]
        assert core.record is None

    def test_who_moves_begins_to_count_orders_anew(self) -> None:
        core = managed()
        core.receive(received(baseline(7), boot="b9"), 1.0)
        core.receive(granted(E2, 2), 2.0)
        assert core.record == AgentRecord(P1, E2, Fence(2))
        core.receive(granted(E2, 3), 3.0)
        effects = core.receive(received(baseline(1), "edge:e2", fence=3, boot="b1"), 4.0)
        assert Save(AgentRecord(P1, E2, Fence(3), "b1", 1)) in effects


class TestOrders:
    def test_the_owners_order_is_obeyed_and_remembered(self) -> None:
        core = managed()
        effects = core.receive(received(model(3)), 1.0)
        assert Save(AgentRecord(P1, E1, Fence(1), "b1", 3)) in effects
        (applied,) = answers(effects)
        assert isinstance(applied, ModelApplied)
        assert (applied.version, applied.model) == (3, model(3).model)
        assert core.actor is not None

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
        assert core.actor is None

    @pytest.mark.parametrize("key", [None, THIEF])
    def test_a_stolen_key_of_another_edge_server_rules_nothing_here(
        self, key: Ed25519PrivateKey | None
    ) -> None:
        core = managed(CHECKING)
        assert core.receive(received(model(3), key=key), 1.0) == NOT_OWNER
        assert answers(core.receive(received(model(3), key=EDGE), 1.0)) != []

    def test_an_order_from_before_is_void_even_after_a_restart(self) -> None:
        record = AgentRecord(P1, E1, Fence(1), "b5", 4)
        for boot, version in (("b5", 3), ("b4", 9)):
            core = AgentCore(PROFILE, OPEN, record=record)
            outdated = core.receive(received(baseline(version), boot=boot), 1.0)
            assert outdated == [Count("models_outdated")]
        core = AgentCore(PROFILE, OPEN, record=record)
        assert answers(core.receive(received(model(4), boot="b5"), 1.0)) != []
        assert core.actor is not None

    def test_a_repeated_order_is_answered_again_and_changes_nothing(self) -> None:
        core = managed()
        core.receive(received(model(3)), 1.0)
        actor = core.actor
        (again,) = core.receive(received(model(3)), 2.0)
        assert isinstance(again, Publish)
        assert isinstance(again.message, ModelApplied)
        assert core.actor is actor


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
