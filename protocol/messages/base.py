"""The base of all messages, and the value types that they are made of."""

from twintier.protocol.values import (
    Category,
    Count,
    Digest,
    Hour,
    Latitude,
    Longitude,
    Name,
    NonNegative,
    Real,
    Share,
    Signature,
    Text,
    Unit,
    Value,
    VerifyKey,
    Version,
)

__all__ = [
    "Category",
    "Count",
    "Digest",
    "Hour",
    "Latitude",
    "Longitude",
    "Message",
    "Name",
    "NonNegative",
    "Real",
    "Share",
    "Signature",
    "Text",
    "Unit",
    "Value",
    "VerifyKey",
    "Version",
]


class Message(Value):
    """Something that crosses the bus on its own topic."""
