"""The one table of what crosses the bus: who says it, where, how surely, and for how long.

Filters, access rules, the protocol page and schemas all follow from `CATALOGUE`. To add an
interaction, add its message class and a row; nothing else lists messages.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from protocol import messages as m
from protocol.messages.base import Message

Role = Literal["plvn", "edge", "cloud"]
Qos = Literal[0, 1]

PLVN: tuple[Role, ...] = ("plvn",)
EDGE: tuple[Role, ...] = ("edge",)
CLOUD: tuple[Role, ...] = ("cloud",)
ALL: tuple[Role, ...] = ("plvn", "edge", "cloud")


@dataclass(frozen=True, slots=True)
class Row:
    """One message class and how it travels."""

    message: type[Message]
    topic: str
    """Template below `{root}/v1/`."""
    publishers: tuple[Role, ...]
    subscribers: tuple[Role, ...]
    """Roles that listen; none for what only operators watch."""
    ttl_s: float | None
    """Age from which it is void; None where the sender or a lease says."""
    key: str
    """What makes two of them the same."""
    qos: Qos = 1
    retain: bool = False
    bulk: bool = False
    """Carries arrays that may be large."""
    version: int = 1
    name: str = field(init=False)
    """The message's type on the wire."""

    def __post_init__(self) -> None:
        words = re.sub(r"(?<!^)(?=[A-Z])", "-", self.message.__name__).lower()
        object.__setattr__(self, "name", f"{words}.v{self.version}")


CATALOGUE: tuple[Row, ...] = (
    Row(
        m.AgentStatusReported, "plvn/{plvn}/up/status", PLVN, ("cloud", "edge"), None,
        "(src, boot)", retain=True,
    ),
    Row(
        m.EdgeStatusReported, "edge/{edge}/up/status", EDGE, CLOUD, None, "(src, boot)",
        retain=True,
    ),
    Row(
        m.CloudStatusReported, "cloud/status", CLOUD, ("edge", "plvn"), None, "(src, boot)",
        retain=True,
    ),
    Row(m.RegistrationRequested, "plvn/{plvn}/up/register", PLVN, CLOUD, 60, "(plvn, boot)"),
    Row(m.RegistrationGranted, "plvn/{plvn}/down/registered", CLOUD, PLVN, 60, "(plvn, boot)"),
    Row(m.RegistrationRefused, "plvn/{plvn}/down/registered", CLOUD, PLVN, 60, "(plvn, boot)"),
    Row(m.GrantRenewed, "plvn/{plvn}/down/grant", CLOUD, PLVN, None, "(plvn, fence)"),
    Row(m.TwinPlaced, "edge/{edge}/down/twin/{plvn}/registered", CLOUD, EDGE, 60, "(plvn, fence)"),
    Row(m.TwinRegistered, "edge/{edge}/up/twin/{plvn}/register", EDGE, CLOUD, 60, "(plvn, fence)"),
    Row(
        m.TelemetryReported, "plvn/{plvn}/up/telemetry", PLVN, EDGE, 5, "seq, latest wins", qos=0,
        bulk=True,
    ),
    Row(
        m.TrajectoriesReported, "plvn/{plvn}/up/traj/{inmf}", PLVN, EDGE, 600,
        "(plvn, model version, batch)", bulk=True,
    ),
    Row(m.PerformanceReported, "plvn/{plvn}/up/perf/{inmf}", PLVN, EDGE, 300, "(plvn, seq)"),
    Row(
        m.AttributesReported, "edge/{edge}/up/twin/{plvn}/attrs", EDGE, CLOUD, 600,
        "(plvn, fence, seq)",
    ),
    Row(
        m.CategoryAssigned, "edge/{edge}/down/twin/{plvn}/category", CLOUD, EDGE, None,
        "(plvn, category version)",
    ),
    Row(
        m.MetaRoundStarted, "edge/{edge}/down/meta/{inmf}/round", CLOUD, EDGE, None,
        "(job, iteration, edge)", bulk=True,
    ),
    Row(
        m.GradientsComputed, "edge/{edge}/up/meta/{inmf}/grad", EDGE, CLOUD, None,
        "(job, iteration, plvn)", bulk=True,
    ),
    Row(
        m.GradientsFailed, "edge/{edge}/up/meta/{inmf}/grad", EDGE, CLOUD, None,
        "(job, iteration, plvn)",
    ),
    Row(
        m.MetaProgressReported, "edge/{edge}/up/meta/{inmf}/progress", EDGE, CLOUD, 30,
        "(job, iteration, stage)", qos=0,
    ),
    Row(
        m.LibraryIndexed, "cloud/library/{inmf}/{category_digest}", CLOUD, EDGE, None, "version",
        retain=True,
    ),
    Row(m.MetaModelRequested, "edge/{edge}/up/library/get", EDGE, CLOUD, 60, "cid"),
    Row(m.MetaModelOffered, "edge/{edge}/down/library/{inmf}", CLOUD, EDGE, 60, "cid", bulk=True),
    Row(m.MetaModelMissing, "edge/{edge}/down/library/{inmf}", CLOUD, EDGE, 60, "cid"),
    Row(
        m.ModelDispatched, "plvn/{plvn}/down/model/{inmf}", EDGE, PLVN, 300,
        "(inmf, version), digest", bulk=True,
    ),
    Row(m.BaselineOrdered, "plvn/{plvn}/down/model/{inmf}", EDGE, PLVN, 300, "(inmf, version)"),
    Row(m.ModelApplied, "plvn/{plvn}/up/model/{inmf}/applied", PLVN, EDGE, 300, "(inmf, version)"),
    Row(m.ModelRefused, "plvn/{plvn}/up/model/{inmf}/applied", PLVN, EDGE, 300, "(inmf, version)"),
    Row(m.ModelRequested, "plvn/{plvn}/up/model/get", PLVN, EDGE, 300, "(plvn, inmf)"),
    Row(
        m.RetrainTriggered, "edge/{edge}/up/twin/{plvn}/retrain", EDGE, CLOUD, 600,
        "(plvn, inmf, cause)",
    ),
    Row(
        m.IndividualModelReported, "edge/{edge}/up/twin/{plvn}/model", EDGE, CLOUD, 600,
        "(plvn, inmf, version, state)",
    ),
    Row(m.HealthReported, "mon/{role}/{id}", ALL, (), None, "seq", qos=0),
    Row(m.MessageRefused, "mon/dead", ALL, (), None, "(src, boot, seq)"),
)  # fmt: skip

BY_MESSAGE: Mapping[type[Message], Row] = {row.message: row for row in CATALOGUE}
BY_NAME: Mapping[str, Row] = {row.name: row for row in CATALOGUE}
NAMES: frozenset[str] = frozenset(name.partition(".")[0] for name in BY_NAME)


def row_of(message: type[Message]) -> Row:
    """The row of a message class.

    Raises:
        KeyError: if the class is not in the catalogue.
    """
    return BY_MESSAGE[message]
