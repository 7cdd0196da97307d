"""What the cloud twin listens to."""

from twintier.protocol.address import Address
from twintier.protocol.messages import (
    AgentStatusReported,
    AttributesReported,
    ChunksRequested,
    CloudStatusReported,
    EdgeStatusReported,
    GradientsComputed,
    GradientsFailed,
    IndividualModelReported,
    MessageReturned,
    MetaModelRequested,
    MetaProgressReported,
    RegistrationRequested,
    RetrainTriggered,
    TwinRegistered,
)
from twintier.runtime.effects import Subscribe


def routes() -> list[Subscribe]:
    """Subscriptions of the cloud twin."""
    messages = (
        AgentStatusReported,
        AttributesReported,
        ChunksRequested,
        CloudStatusReported,  # of another process that says it is this one
        EdgeStatusReported,
        GradientsComputed,
        GradientsFailed,
        IndividualModelReported,
        MessageReturned,
        MetaModelRequested,
        MetaProgressReported,
        RegistrationRequested,
        RetrainTriggered,
        TwinRegistered,
    )
    returned = Subscribe((MessageReturned,), Address(branch="plvn/up"))
    return [Subscribe(messages, Address(branch="edge/up")), returned]
