"""What a process says of itself, and what it hears of others under its own name. No I/O.

Incarnations are time-ordered. Of two living processes of one source the younger goes on; the elder
hears its live status and ends. What a predecessor says last must not stand: we say again that we
are here.
"""

import secrets
import time
from typing import Literal

from twintier.broker.bus import Delivery
from twintier.broker.errors import BrokerError
from twintier.protocol.address import Address
from twintier.protocol.catalogue import row_of
from twintier.protocol.codec import Decoded
from twintier.protocol.messages import AgentStatusReported, CloudStatusReported, EdgeStatusReported
from twintier.protocol.messages.base import Message
from twintier.runtime.effects import Publish

Status = AgentStatusReported | EdgeStatusReported | CloudStatusReported
Heard = Literal["nothing", "predecessor", "successor"]


class TakenOverError(BrokerError):
    """Another process of this source was started later; stop one of them."""


def new_incarnation() -> str:
    """Names one start of a process, greater than an earlier one; part of its client id too."""
    return f"{int(time.time() * 1000):011x}-{secrets.token_hex(3)}"


class Presence:
    """Of one process."""

    def __init__(self, src: str, incarnation: str) -> None:
        self._src = src
        self._incarnation = incarnation
        self._status: Publish | None = None
        self._others: dict[tuple[type[Message], Address], Publish] = {}

    @property
    def status(self) -> Publish | None:
        """The last status that the core published."""
        return self._status

    @property
    def retained(self) -> list[Publish]:
        """The last value of each topic that the core has had kept, its status first."""
        return [*([] if self._status is None else [self._status]), *self._others.values()]

    def said(self, effect: Publish) -> None:
        """Note what the core published, if the broker is to keep it."""
        kind = type(effect.message)
        if not row_of(kind).retain:
            return
        if isinstance(effect.message, Status):
            self._status = effect
        else:
            self._others[kind, effect.to] = effect

    def heard(self, decoded: Decoded, delivery: Delivery) -> Heard:
        """What a status under our own name means; kept values mean nothing."""
        envelope, message = decoded.envelope, decoded.message
        if not isinstance(message, Status) or envelope.src != self._src:
            return "nothing"
        if delivery.retain or envelope.boot == self._incarnation:
            return "nothing"
        younger = envelope.boot > self._incarnation and message.state == "online"
        return "successor" if younger else "predecessor"
