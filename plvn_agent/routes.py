"""What an agent listens to: its own `down` branch, and the phase of the cloud twin."""

from broker.effects import Subscribe
from protocol.address import Address
from protocol.ids import PlvnId
from protocol.messages import (
    BaselineOrdered,
    CloudStatusReported,
    GrantRenewed,
    ModelDispatched,
    RegistrationGranted,
    RegistrationRefused,
)


def routes(plvn: PlvnId) -> list[Subscribe]:
    """Subscriptions of the agent of a PLVN."""
    own = (
        BaselineOrdered,
        GrantRenewed,
        ModelDispatched,
        RegistrationGranted,
        RegistrationRefused,
    )
    return [Subscribe(own, Address(plvn=plvn)), Subscribe((CloudStatusReported,), Address())]
