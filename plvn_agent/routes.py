"""What an agent listens to: its own `down` branch."""

from protocol.messages import (
    BaselineOrdered,
    GrantRenewed,
    ModelDispatched,
    RegistrationGranted,
    RegistrationRefused,
)
from protocol.messages.base import Message

ROUTES: tuple[type[Message], ...] = (
    BaselineOrdered,
    GrantRenewed,
    ModelDispatched,
    RegistrationGranted,
    RegistrationRefused,
)
