"""Every message of the catalogue."""

from twintier.protocol.messages.attributes import (
    AttributesReported,
    CategoryAssigned,
    InmfAttributes,
    MetaModelMatch,
)
from twintier.protocol.messages.base import Message, Value
from twintier.protocol.messages.delivery import (
    ChunkSent,
    ChunksRequested,
    MessageReturned,
    StreamPosition,
    UploadsAcknowledged,
)
from twintier.protocol.messages.library import (
    LibraryIndexed,
    MetaModelMissing,
    MetaModelOffered,
    MetaModelRequested,
)
from twintier.protocol.messages.meta_training import (
    GradientRow,
    GradientsComputed,
    GradientsFailed,
    MetaProgressReported,
    MetaRoundStarted,
    MetaTrainingSettings,
)
from twintier.protocol.messages.model import (
    BaselineOrdered,
    Cause,
    IndividualModelReported,
    ModelApplied,
    ModelDispatched,
    ModelRefused,
    ModelRequested,
    RetrainTriggered,
)
from twintier.protocol.messages.monitoring import Counter, HealthReported, MessageRefused, PeerClock
from twintier.protocol.messages.presence import (
    AgentStatusReported,
    CloudStatusReported,
    EdgeStatusReported,
)
from twintier.protocol.messages.registration import (
    Grant,
    GrantRenewed,
    RegistrationGranted,
    RegistrationRefused,
    RegistrationRequested,
    Site,
    TwinPlaced,
    TwinRegistered,
)
from twintier.protocol.messages.telemetry import (
    InmfSlots,
    OutcomeSum,
    PerformanceReported,
    TelemetryReported,
    TrajectoriesReported,
    VehicleState,
)

__all__ = [
    "AgentStatusReported",
    "AttributesReported",
    "BaselineOrdered",
    "CategoryAssigned",
    "Cause",
    "ChunkSent",
    "ChunksRequested",
    "CloudStatusReported",
    "Counter",
    "EdgeStatusReported",
    "GradientRow",
    "GradientsComputed",
    "GradientsFailed",
    "Grant",
    "GrantRenewed",
    "HealthReported",
    "IndividualModelReported",
    "InmfAttributes",
    "InmfSlots",
    "LibraryIndexed",
    "Message",
    "MessageRefused",
    "MessageReturned",
    "MetaModelMatch",
    "MetaModelMissing",
    "MetaModelOffered",
    "MetaModelRequested",
    "MetaProgressReported",
    "MetaRoundStarted",
    "MetaTrainingSettings",
    "ModelApplied",
    "ModelDispatched",
    "ModelRefused",
    "ModelRequested",
    "OutcomeSum",
    "PeerClock",
    "PerformanceReported",
    "RegistrationGranted",
    "RegistrationRefused",
    "RegistrationRequested",
    "RetrainTriggered",
    "Site",
    "StreamPosition",
    "TelemetryReported",
    "TrajectoriesReported",
    "TwinPlaced",
    "TwinRegistered",
    "UploadsAcknowledged",
    "Value",
    "VehicleState",
]
