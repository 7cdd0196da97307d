"""A cloud twin with small settings, and messages as its peers send them."""

from collections.abc import Sequence
from dataclasses import replace

from tests.cloud_twin.training_setup import INMF, QUICK, zeros
from twintier.cloud_twin.categories import Lattice
from twintier.cloud_twin.core import CloudCore, CloudRecord
from twintier.cloud_twin.library import Library
from twintier.cloud_twin.planner import Blueprint, Planner
from twintier.cloud_twin.settings import CloudSettings
from twintier.protocol.address import Address
from twintier.protocol.catalogue import row_of
from twintier.protocol.envelope import Envelope
from twintier.protocol.ids import CategoryKey, EdgeId, PlvnId
from twintier.protocol.messages import (
    AttributesReported,
    EdgeStatusReported,
    Grant,
    RegistrationRequested,
    Site,
    TwinRegistered,
)
from twintier.protocol.messages.base import Message
from twintier.protocol.values import Fence
from twintier.runtime.core import Received
from twintier.runtime.effects import Effect, Publish

P1, P2 = PlvnId("p1"), PlvnId("p2")
E1, E2 = EdgeId("e1"), EdgeId("e2")
SITE = Site(city="Berlin", road="Highway", lat_deg=52.5, lon_deg=13.4)
KEY = CategoryKey("city=berlin|road=highway")
REQUEST = RegistrationRequested(site=SITE, requested_inmfs=(INMF,))
CID = b"c" * 16


def cloud(
    records: Sequence[CloudRecord] = (),
    settings: CloudSettings = QUICK,
    *,
    emulated: bool = True,
    **changes: float,
) -> CloudCore:
    """A cloud twin that knows one INMF of a four-number policy."""
    chosen = replace(settings, **changes)  # type: ignore[arg-type]  # counts are whole floats
    blueprints = {INMF: Blueprint("test/v1", zeros(), emulated=emulated)}
    return CloudCore(Planner(chosen, blueprints, Library(), Lattice()), chosen, records)


def received(
    message: Message, to: Address, *, fence: int | None = None, boot: str = "b1"
) -> Received:
    """A message as the runtime hands it over."""
    envelope = Envelope(
        type=row_of(type(message)).name,
        id=CID,
        src="edge:e1",
        boot=boot,
        stream="s",
        seq=1,
        ts_ns=0,
        fence=None if fence is None else Fence(fence),
    )
    return Received(message, envelope, to)


def status(state: str = "online", edge: EdgeId = E1, boot: str = "b1") -> Received:
    """An edge server says that it is there."""
    message = EdgeStatusReported.model_validate(
        {
            "state": state,
            "lease_s": 15.0,
            "lat_deg": 52.5,
            "lon_deg": 13.4 if edge == E1 else 14.4,
            "capacity": 8,
            "twins": 0,
        }
    )
    return received(message, Address(edge=edge), boot=boot)


def registration(plvn: PlvnId = P1) -> Received:
    """A PLVN asks to be managed."""
    return received(REQUEST, Address(plvn=plvn))


def grant(plvn: PlvnId = P1, edge: EdgeId = E1, fence: int = 1) -> Grant:
    """The grant that the cloud twin makes of it."""
    return Grant(plvn=plvn, edge=edge, fence=Fence(fence), valid_s=QUICK.grant_valid_s)


def hosted(plvn: PlvnId = P1, edge: EdgeId = E1, fence: int = 1) -> Received:
    """An edge server says that it hosts the twin."""
    message = TwinRegistered(grant=grant(plvn, edge, fence))
    return received(message, Address(plvn=plvn, edge=edge), fence=fence)


def attributes(
    plvn: PlvnId = P1, edge: EdgeId = E1, fence: int = 1, category: CategoryKey = KEY
) -> Received:
    """A twin's attributes of a category."""
    message = AttributesReported(
        sim_time_s=10.0,
        n_samples=10,
        hour=8.0,
        city="Berlin",
        road="Highway",
        lat_deg=52.5,
        lon_deg=13.4,
        vehicle_number=9.0,
        inmfs=(),
        category=category,
    )
    return received(message, Address(plvn=plvn, edge=edge), fence=fence)


def with_twins(core: CloudCore, *plvns: PlvnId, edge: EdgeId = E1) -> CloudCore:
    """Register PLVNs and let the edge server confirm them."""
    core.receive(status(edge=edge), 0.0)
    for plvn in plvns:
        core.receive(registration(plvn), 0.0)
        core.receive(hosted(plvn, edge), 0.0)
    return core


def published(effects: Sequence[Effect], kind: type[Message]) -> list[Message]:
    """The messages of one kind among effects."""
    return [e.message for e in effects if isinstance(e, Publish) and isinstance(e.message, kind)]
