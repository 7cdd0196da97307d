"""What an edge server listens to: its own `down` branch, and every PLVN's `up` branch."""

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

OWN_ROUTES: tuple[type[Message], ...] = (
    CategoryAssigned,
    MetaModelMissing,
    MetaModelOffered,
    MetaRoundStarted,
    TwinPlaced,
)
"""On topics that hold this edge server's id."""
SHARED_ROUTES: tuple[type[Message], ...] = (LibraryIndexed,)
PLVN_ROUTES: tuple[type[Message], ...] = (
    ModelApplied,
    ModelRefused,
    ModelRequested,
    PerformanceReported,
    TelemetryReported,
    TrajectoriesReported,
)
"""On topics of the PLVNs that it owns; subscribed as they come."""
