"""The one table of what crosses the bus: who says it, where, with which delivery guarantee.

Filters, access rules, the protocol page and schemas all follow from `CATALOGUE`. To add an
interaction, add its message class and a row; nothing else lists messages.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from twintier.protocol import messages as m
from twintier.protocol.address import Branch
from twintier.protocol.errors import LocalProtocolError
from twintier.protocol.messages.base import Message

Role = Literal["plvn", "edge", "cloud"]
Qos = Literal[0, 1]
Guarantee = Literal["plain", "answered", "outbox"]

PLVN: tuple[Role, ...] = ("plvn",)
EDGE: tuple[Role, ...] = ("edge",)
CLOUD: tuple[Role, ...] = ("cloud",)
ALL: tuple[Role, ...] = ("plvn", "edge", "cloud")
WILL_STREAM = "will"


@dataclass(frozen=True, slots=True)
class Row:
    """One message class and how it travels."""

    message: type[Message]
    topic: str
    """Template below `{root}/v1/`."""
    publishers: tuple[Role, ...]
    subscribers: tuple[Role, ...]
    """Roles that listen, from which their routes follow; none for what only operators watch."""
    ttl_s: float | None
    """Age from which it is void; None where the sender or a lease says."""
    key: str
    """What makes two of them the same."""
    qos: Qos = 1
    retain: bool = False
    bulk: bool = False
    """Carries arrays that may be large, so it may travel in chunks."""
    guarantee: Guarantee = "plain"
    """With which delivery guarantee it travels: `plain` as the QoS says; `answered` is asked again
    until there is an answer or nobody needs one; `outbox` is kept by its sender, over restarts,
    until the receiver has acknowledged it."""
    version: int = 1
    branch: Branch | None = None
    """For a message that travels on several branches: on which one this row is."""
    name: str = field(init=False)
    """The message's type on the wire."""

    def __post_init__(self) -> None:
        words = re.sub(r"(?<!^)(?=[A-Z])", "-", self.message.__name__).lower()
        object.__setattr__(self, "name", f"{words}.v{self.version}")

    @property
    def signed(self) -> bool:
        """Whether it orders a PLVN about, where every edge server may write."""
        return "edge" in self.publishers and self.topic.startswith("plvn/{plvn}/down/")

    @property
    def way(self) -> Branch | None:
        """The branch that its topic is on; None for those on none, such as `cloud/status`."""
        return next((b for b in FLOWS if self.topic.startswith(_topic_on(b, ""))), None)

    @property
    def on_demand(self) -> bool:
        """Whether it is listened to only while something has been asked for."""
        return "{digest}" in self.topic

    @property
    def shared_stream(self) -> str | None:
        """A stream other than its topic that it may count in; None where there is none.

        A will is written before anything else is sent, so statuses have one for wills; chunks of
        all messages of a branch are served in one.
        """
        if self.retain and self.topic.endswith("/status"):
            return WILL_STREAM
        return f"{self.branch}/blob" if self.on_demand else None


FLOWS: Mapping[Branch, tuple[tuple[Role, ...], tuple[Role, ...]]] = {
    "plvn/up": (PLVN, ("edge", "cloud")),
    "plvn/down": (("edge", "cloud"), PLVN),
    "edge/up": (EDGE, CLOUD),
    "edge/down": (CLOUD, EDGE),
}
"""Who writes and who reads on each branch."""


CHUNKS: Mapping[Branch, tuple[tuple[Role, ...], tuple[Role, ...]]] = {
    **FLOWS,
    "plvn/up": (PLVN, EDGE),
}
"""The same for chunks: nothing large passes between a PLVN and the cloud twin."""


def _along(
    message: type[Message],
    tail: str,
    *,
    key: str,
    flows: Mapping[Branch, tuple[tuple[Role, ...], tuple[Role, ...]]] = FLOWS,
    branches: Iterable[Branch] = tuple(FLOWS),
    ttl_s: float = 60,
) -> tuple[Row, ...]:
    """Rows of a message that helps to deliver others, one for each branch."""
    return tuple(
        Row(message, _topic_on(branch, tail), *flows[branch], ttl_s, key, branch=branch)
        for branch in branches
    )


def _topic_on(branch: Branch, tail: str) -> str:
    role, _, way = branch.partition("/")
    return f"{role}/{{{role}}}/{way}/{tail}"


CATALOGUE: tuple[Row, ...] = (
    Row(
        m.AgentStatusReported, "plvn/{plvn}/up/status", PLVN, ("cloud", "plvn"), None,
        "(src, boot)", retain=True,
    ),
    Row(
        m.EdgeStatusReported, "edge/{edge}/up/status", EDGE, ("cloud", "edge"), None, "(src, boot)",
        retain=True, version=2,
    ),
    Row(
        m.CloudStatusReported, "cloud/status", CLOUD, ("plvn", "cloud"), None, "(src, boot)",
        retain=True,
    ),
    Row(
        m.RegistrationRequested, "plvn/{plvn}/up/register", PLVN, CLOUD, 60, "(plvn, boot)",
        guarantee="answered",
    ),
    Row(
        m.RegistrationGranted, "plvn/{plvn}/down/registered", CLOUD, PLVN, 60, "(plvn, boot)",
        guarantee="answered", version=3,
    ),
    Row(
        m.RegistrationRefused, "plvn/{plvn}/down/registered", CLOUD, PLVN, 60, "(plvn, boot)",
        guarantee="answered",
    ),
    Row(m.GrantRenewed, "plvn/{plvn}/down/grant", CLOUD, PLVN, None, "(plvn, fence)", version=2),
    Row(
        m.TwinPlaced, "edge/{edge}/down/twin/{plvn}/registered", CLOUD, EDGE, 60, "(plvn, fence)",
        guarantee="answered", version=2,
    ),
    Row(
        m.TwinRegistered, "edge/{edge}/up/twin/{plvn}/register", EDGE, CLOUD, 60, "(plvn, fence)",
        guarantee="answered", version=2,
    ),
    Row(
        m.TelemetryReported, "plvn/{plvn}/up/telemetry", PLVN, EDGE, 5, "seq, latest wins", qos=0,
        bulk=True, version=3,
    ),
    Row(
        m.TrajectoriesReported, "plvn/{plvn}/up/traj/{inmf}", PLVN, EDGE, 600,
        "(plvn, inmf, model version, batch)", bulk=True, guarantee="outbox", version=3,
    ),
    Row(
        m.PerformanceReported, "plvn/{plvn}/up/perf/{inmf}", PLVN, EDGE, 300, "(plvn, seq)",
        guarantee="outbox", version=2,
    ),
    Row(
        m.AttributesReported, "edge/{edge}/up/twin/{plvn}/attrs", EDGE, CLOUD, 600,
        "(plvn, fence, seq)", version=2,
    ),
    Row(
        m.CategoryAssigned, "edge/{edge}/down/twin/{plvn}/category", CLOUD, EDGE, None,
        "(plvn, category version)",
    ),
    Row(
        m.MetaRoundStarted, "edge/{edge}/down/meta/{inmf}/round", CLOUD, EDGE, None,
        "(job, iteration, edge)", bulk=True, guarantee="answered", version=3,
    ),
    Row(
        m.GradientsComputed, "edge/{edge}/up/meta/{inmf}/grad", EDGE, CLOUD, None,
        "(job, iteration, plvn)", bulk=True, guarantee="answered", version=3,
    ),
    Row(
        m.GradientsFailed, "edge/{edge}/up/meta/{inmf}/grad", EDGE, CLOUD, None,
        "(job, iteration, plvn)", guarantee="answered",
    ),
    Row(
        m.MetaProgressReported, "edge/{edge}/up/meta/{inmf}/progress", EDGE, CLOUD, 30,
        "(job, iteration, stage)", qos=0,
    ),
    Row(
        m.LibraryIndexed, "cloud/library/{inmf}/{category_digest}", CLOUD, EDGE, None, "version",
        retain=True,
    ),
    Row(
        m.MetaModelRequested, "edge/{edge}/up/library/get", EDGE, CLOUD, 60, "cid",
        guarantee="answered",
    ),
    Row(
        m.MetaModelOffered, "edge/{edge}/down/library/{inmf}", CLOUD, EDGE, 60, "cid", bulk=True,
        guarantee="answered", version=3,
    ),
    Row(
        m.MetaModelMissing, "edge/{edge}/down/library/{inmf}", CLOUD, EDGE, 60, "cid",
        guarantee="answered",
    ),
    Row(
        m.ModelDispatched, "plvn/{plvn}/down/model/{inmf}", EDGE, PLVN, 300,
        "(inmf, version), model", bulk=True, guarantee="answered", version=3,
    ),
    Row(
        m.BaselineOrdered, "plvn/{plvn}/down/model/{inmf}", EDGE, PLVN, 300, "(inmf, version)",
        guarantee="answered",
    ),
    Row(
        m.ModelApplied, "plvn/{plvn}/up/model/{inmf}/applied", PLVN, EDGE, 300, "(inmf, version)",
        guarantee="answered",
    ),
    Row(
        m.ModelRefused, "plvn/{plvn}/up/model/{inmf}/applied", PLVN, EDGE, 300, "(inmf, version)",
        guarantee="answered", version=2,
    ),
    Row(
        m.ModelRequested, "plvn/{plvn}/up/model/get", PLVN, EDGE, 300, "(plvn, inmf)",
        guarantee="answered",
    ),
    Row(
        m.RetrainTriggered, "edge/{edge}/up/twin/{plvn}/retrain", EDGE, CLOUD, 600,
        "(plvn, inmf, cause)", guarantee="outbox",
    ),
    Row(
        m.IndividualModelReported, "edge/{edge}/up/twin/{plvn}/model", EDGE, CLOUD, 600,
        "(plvn, inmf, version, state)", guarantee="outbox", version=2,
    ),
    *_along(
        m.UploadsAcknowledged, "ack", branches=("plvn/down", "edge/down"),
        key="(src, boot, stream, seq up to)",
    ),
    *_along(m.MessageReturned, "refused", key="(boot, stream, seq)"),
    *_along(m.ChunksRequested, "blob", key="(digest, first)", flows=CHUNKS),
    *_along(m.ChunkSent, "blob/{digest}", key="(digest, index)", flows=CHUNKS, ttl_s=600),
    Row(m.HealthReported, "mon/{role}/{id}", ALL, (), None, "seq", qos=0, version=2),
    Row(m.MessageRefused, "mon/dead", ALL, (), None, "(src, boot, seq)"),
)  # fmt: skip

BY_MESSAGE: Mapping[type[Message], tuple[Row, ...]] = {
    row.message: tuple(other for other in CATALOGUE if other.message is row.message)
    for row in CATALOGUE
}
BY_NAME: Mapping[str, Row] = {rows[0].name: rows[0] for rows in BY_MESSAGE.values()}
NAMES: frozenset[str] = frozenset(name.partition(".")[0] for name in BY_NAME)


def row_of(message: type[Message]) -> Row:
    """The row of a message class, the first of several that differ in their branch only.

    Raises:
        KeyError: if the class is not in the catalogue.
    """
    return BY_MESSAGE[message][0]


def row_on(message: type[Message], branch: Branch | None) -> Row:
    """The row of a message class on a branch; where there is only one row, that one.

    Raises:
        LocalProtocolError: if the class travels on several branches, and not on this one.
    """
    rows = BY_MESSAGE[message]
    if len(rows) == 1:
        return rows[0]
    for row in rows:
        if row.branch == branch:
            return row
    known = ", ".join(row.branch or "" for row in rows)
    raise LocalProtocolError(f"{rows[0].name} travels on {known}, not on {branch}")
