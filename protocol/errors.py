"""What can be wrong with a message or an identity.

ProtocolError
├── LocalProtocolError       our side tried to send something invalid
│   ├── InvalidIdError       an identity that may not stand in a topic
│   └── OversizeError        a message above the payload limit
└── RemoteProtocolError      a peer sent something invalid; `code` goes back to it
"""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from twintier.protocol.envelope import Envelope

RefusalCode = Literal[
    "malformed",
    "oversize",
    "unknown_type",
    "unknown_version",
    "invalid_body",
    "invalid_topic",
    "wrong_source",
    "wrong_topic",
    "not_owner",
    "duplicate",
    "failed",
    "incomplete",
]


class ProtocolError(Exception):
    """Root of this package's errors."""


class LocalProtocolError(ProtocolError):
    """Our side tried to send something invalid."""


class InvalidIdError(LocalProtocolError, ValueError):
    """An identity that may not stand in a topic."""


class OversizeError(LocalProtocolError):
    """A message above the payload limit."""


class RemoteProtocolError(ProtocolError):
    """A peer sent something invalid.

    Attributes:
        code: stable reason that is counted and sent back.
        envelope: of the message, as far as it could be read.
    """

    def __init__(self, code: RefusalCode, reason: str, envelope: "Envelope | None" = None) -> None:
        super().__init__(f"{code}: {reason}")
        self.code: RefusalCode = code
        self.reason = reason
        self.envelope = envelope
