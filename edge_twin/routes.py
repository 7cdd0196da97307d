"""What an edge server listens to: its `down` branch, the library, its PLVNs' `up` branches."""

from twintier.protocol.address import Address
from twintier.protocol.ids import EdgeId, PlvnId
from twintier.protocol.messages import (
    CategoryAssigned,
    ChunksRequested,
    EdgeStatusReported,
    LibraryIndexed,
    MessageReturned,
    MetaModelMissing,
    MetaModelOffered,
    MetaRoundStarted,
    ModelApplied,
    ModelRefused,
    ModelRequested,
    PerformanceReported,
    TelemetryReported,
    TrajectoriesReported,
    TwinPlaced,
    UploadsAcknowledged,
)
from twintier.protocol.messages.base import Message
from twintier.runtime.core import Received
from twintier.runtime.effects import Subscribe

_OWN: tuple[type[Message], ...] = (
    CategoryAssigned,
    ChunksRequested,
    EdgeStatusReported,  # of another process that says it is this one
    MessageReturned,
    MetaModelMissing,
    MetaModelOffered,
    MetaRoundStarted,
    TwinPlaced,
    UploadsAcknowledged,
)
_OF_PLVN: tuple[type[Message], ...] = (
    ChunksRequested,
    MessageReturned,
    ModelApplied,
    ModelRefused,
    ModelRequested,
    PerformanceReported,
    TelemetryReported,
    TrajectoriesReported,
)


def routes(edge: EdgeId) -> list[Subscribe]:
    """Subscriptions of an edge server before it has any twin."""
    own = Address(edge=edge, branch="edge/down")
    return [Subscribe(_OWN, own), Subscribe((LibraryIndexed,), Address())]


def plvn_route(plvn: PlvnId) -> Subscribe:
    """What it listens to on the topics of a PLVN that it owns; subscribed as they come."""
    return Subscribe(_OF_PLVN, Address(plvn=plvn, branch="plvn/up"))


def is_of_cloud_twin(received: Received) -> bool:
    """Whether it came on our `down` branch, where only the cloud twin may write."""
    return received.address.branch == "edge/down" and received.envelope.role == "cloud"
