"""An agent in tests: granted, given slots of toys, and what it uploads."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.toy_inmf import toy
from twintier.inmf.actor import PolicySpec
from twintier.inmf.contract import ACTION, REWARD, Inmf, Row
from twintier.inmf.traffic import Traffic, WorldSeed
from twintier.plvn_agent.core import AgentCore
from twintier.plvn_agent.orders import Engine
from twintier.plvn_agent.ownership import AgentRecord
from twintier.plvn_agent.settings import AgentSettings
from twintier.plvn_agent.slot_loop import HostSettings
from twintier.plvn_agent.slots import InmfSlot, SlotActed, SlotMeasured
from twintier.plvn_agent.source import PlvnProfile, Source, SourceError
from twintier.protocol.address import Address
from twintier.protocol.catalogue import row_of
from twintier.protocol.envelope import Envelope
from twintier.protocol.ids import EdgeId, InmfId, PlvnId
from twintier.protocol.messages import (
    BaselineOrdered,
    Grant,
    ModelDispatched,
    RegistrationGranted,
    Site,
)
from twintier.protocol.messages.base import Message
from twintier.protocol.signing import Signature, sign_grant, sign_message, verify_key_of
from twintier.protocol.tensors import Tensors, model_id
from twintier.protocol.values import Fence
from twintier.runtime.core import Observed, Received
from twintier.runtime.effects import Actuate, Effect, Publish

P1, E1, E2 = PlvnId("p1"), EdgeId("e1"), EdgeId("e2")
TOY, OTHER = InmfId("toy"), InmfId("other")
CLOUD, EDGE, THIEF = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3))
PROFILE = PlvnProfile(P1, Site(city="Berlin", road="Highway", lat_deg=52.5, lon_deg=13.4))
OPEN, CHECKING = AgentSettings(), AgentSettings(cloud_key=verify_key_of(CLOUD))
DOWN = Address(plvn=P1, inmf=TOY)
BOTH: Mapping[InmfId, Inmf] = {TOY: toy(), OTHER: toy("other")}


def agent(
    settings: AgentSettings = OPEN,
    inmfs: Iterable[Inmf] = (),
    *,
    record: AgentRecord | None = None,
    engine: Engine | None = None,
) -> AgentCore:
    """An agent that nobody manages yet; of the one toy unless others are given."""
    managed = {InmfId(each.spec.inmf): each for each in inmfs} or {TOY: toy()}
    return AgentCore(PROFILE, settings, managed, record=record, engine=engine)


def managed(
    settings: AgentSettings = OPEN, inmfs: Iterable[Inmf] = (), engine: Engine | None = None
) -> AgentCore:
    """An agent that an edge server owns."""
    core = agent(settings, inmfs, engine=engine)
    core.receive(granted(key=CLOUD), 0.0)
    return core


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


def granted(
    edge: EdgeId = E1,
    fence: int = 1,
    key: Ed25519PrivateKey | None = None,
    unknown: tuple[InmfId, ...] = (),
) -> Received:
    grant = Grant(
        plvn=P1, edge=edge, fence=Fence(fence), valid_s=60.0, edge_key=verify_key_of(EDGE)
    )
    signed = grant if key is None else sign_grant(key, grant)
    message = RegistrationGranted(grant=signed, unknown_inmfs=unknown)
    return received(message, "cloud:cloud", fence=fence)


def baseline(version: int, inmf: InmfId = TOY) -> BaselineOrdered:
    return BaselineOrdered(inmf=inmf, version=version, reason="guard")


def model(
    version: int,
    inmf: Inmf | None = None,
    *,
    bias: float = 0.0,
    sampled: bool = False,
    schema_id: str = "",
    batch: int = 3,
) -> ModelDispatched:
    """A model that offloads both tasks, or neither if the bias of its outputs is negative."""
    managed_inmf = inmf or toy()
    policy = PolicySpec.of(managed_inmf.spec)
    parameters = np.zeros(policy.parameters, np.float32)
    parameters[-policy.free - policy.outputs : -policy.free] = bias
    parameters[-policy.free :] = -1.0
    schema = schema_id or managed_inmf.schema_id
    return ModelDispatched(
        inmf=InmfId(managed_inmf.spec.inmf),
        version=version,
        purpose="final",
        model=model_id(schema, parameters),
        schema_id=schema,
        parameters=Tensors.pack({"parameters": parameters}),
        trajectory_slots=batch,
        sampled=sampled,
        program=b"",
    )


def messages(effects: Sequence[Effect]) -> list[Message]:
    return [effect.message for effect in effects if isinstance(effect, Publish)]


def actions(effects: Sequence[Effect]) -> dict[InmfId, tuple[float, ...]]:
    return {effect.inmf: effect.action for effect in effects if isinstance(effect, Actuate)}


def traffic(slot: int) -> Traffic:
    return Traffic(slot, float(slot), 8.5, vehicle_number=7, mean_speed_share=0.5)


def measured(slot: int, **rows: Row) -> Observed:
    """A slot of loads 2 and 9; other rows of an INMF where they are given."""
    each = {InmfId(name): InmfSlot(slot, row) for name, row in rows.items()}
    return Observed(SlotMeasured(traffic(slot), each or {TOY: InmfSlot(slot, row_of_slot())}))


def row_of_slot(first: float = 2.0) -> Row:
    return {"load": np.array([first, 9.0])}


def outcome(action: Sequence[float], reward: float = 1.0) -> Row:
    return {ACTION: np.array(action), REWARD: np.array(reward), "late": np.array(0.0)}


def acted(slot: int, **rows: Row) -> Observed:
    return Observed(SlotActed({InmfId(name): InmfSlot(slot, row) for name, row in rows.items()}))


def run(core: AgentCore, slots: range, reward: float = 1.0) -> list[Effect]:
    """Drive the toy through slots; all effects."""
    effects: list[Effect] = []
    for slot in slots:
        decided = core.receive(measured(slot), float(slot))
        effects += decided
        action = actions(decided)
        if TOY in action:
            effects += core.receive(acted(slot, toy=outcome(action[TOY], reward)), float(slot))
    return effects


FAST = HostSettings(speed=1e6)


class Simulated(Source):
    """So many slots of traffic; then it ends."""

    clock_id = "simulated"
    slot_s = 1.0
    plvns: Sequence[PlvnProfile] = (PROFILE,)

    def __init__(self, slots: int) -> None:
        self.slot = 1
        self.slots = slots

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def history(self, plvn: PlvnId) -> Sequence[Traffic]:
        assert plvn == P1
        return [traffic(0), traffic(1)]

    async def observe(self) -> Mapping[PlvnId, Traffic]:
        if self.slot > self.slots:
            raise SourceError("the road ends")
        self.slot += 1
        return {P1: traffic(self.slot)}

    def world_seed(self, plvn: PlvnId) -> WorldSeed | None:
        return WorldSeed(1, plvn)
