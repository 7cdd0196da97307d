"""What the cloud twin listens to."""

from protocol.messages import (
    AgentStatusReported,
    AttributesReported,
    EdgeStatusReported,
    GradientsComputed,
    GradientsFailed,
    IndividualModelReported,
    MetaModelRequested,
    MetaProgressReported,
    RegistrationRequested,
    RetrainTriggered,
    TwinRegistered,
)
from protocol.messages.base import Message

ROUTES: tuple[type[Message], ...] = (
    AgentStatusReported,
    AttributesReported,
    EdgeStatusReported,
    GradientsComputed,
    GradientsFailed,
    IndividualModelReported,
    MetaModelRequested,
    MetaProgressReported,
    RegistrationRequested,
    RetrainTriggered,
    TwinRegistered,
)
