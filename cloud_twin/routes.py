"""What the cloud twin listens to."""

from broker.effects import Subscribe
from protocol.address import Address
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


def routes() -> list[Subscribe]:
    """Subscriptions of the cloud twin."""
    messages = (
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
    return [Subscribe(messages, Address())]
