"""What an edge server listens to: its `down` branch, the library, its PLVNs' `up` branches."""

from broker.effects import Subscribe
from protocol.address import Address
from protocol.ids import EdgeId
from protocol.messages import (
    CategoryAssigned,
    LibraryIndexed,
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
)
from protocol.messages.base import Message

_OWN: tuple[type[Message], ...] = (
    CategoryAssigned,
    MetaModelMissing,
    MetaModelOffered,
    MetaRoundStarted,
    TwinPlaced,
)
PLVN_ROUTES: tuple[type[Message], ...] = (
    ModelApplied,
    ModelRefused,
    ModelRequested,
    PerformanceReported,
    TelemetryReported,
    TrajectoriesReported,
)
"""On topics of the PLVNs that it owns; subscribed as they come."""


def routes(edge: EdgeId) -> list[Subscribe]:
    """Subscriptions of an edge server before it has any twin."""
    return [Subscribe(_OWN, Address(edge=edge)), Subscribe((LibraryIndexed,), Address())]
