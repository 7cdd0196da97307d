"""What an agent listens to: its own `down` branch, and the phase of the cloud twin."""

from twintier.protocol.address import Address
from twintier.protocol.ids import PlvnId
from twintier.protocol.messages import (
    AgentStatusReported,
    BaselineOrdered,
    ChunksRequested,
    CloudStatusReported,
    GrantRenewed,
    MessageReturned,
    ModelDispatched,
    RegistrationGranted,
    RegistrationRefused,
    UploadsAcknowledged,
)
from twintier.runtime.effects import Subscribe


def routes(plvn: PlvnId) -> list[Subscribe]:
    """Subscriptions of the agent of a PLVN."""
    own = (
        AgentStatusReported,  # of another process that says it is this one
        BaselineOrdered,
        ChunksRequested,
        GrantRenewed,
        MessageReturned,
        ModelDispatched,
        RegistrationGranted,
        RegistrationRefused,
        UploadsAcknowledged,
    )
    at = Address(plvn=plvn, branch="plvn/down")
    return [Subscribe(own, at), Subscribe((CloudStatusReported,), Address())]
