"""The frozen base of everything in a message, and the number types that several messages share.

Every number is bounded; a changed field is a new version of its message, never an edit.
"""

from typing import Annotated, NewType

from pydantic import BaseModel, ConfigDict, Field


class Value(BaseModel):
    """A frozen part of a message."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Fence = NewType("Fence", int)
"""Grows with every change of ownership of a twin."""

Count = Annotated[int, Field(ge=0, le=2**53)]
Version = Annotated[int, Field(ge=0, le=2**53)]
Real = Annotated[float, Field(ge=-1e15, le=1e15)]
NonNegative = Annotated[float, Field(ge=0, le=1e15)]
Share = Annotated[float, Field(ge=0, le=1)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Hour = Annotated[float, Field(ge=0, lt=24)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Unit = Annotated[str, Field(max_length=32)]
Text = Annotated[str, Field(max_length=512)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Category = Annotated[str, Field(max_length=256)]
VerifyKey = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
"""Ed25519 public key, hexadecimal; empty where nothing is signed."""
Signature = Annotated[str, Field(pattern=r"^([0-9a-f]{128})?$")]
"""Ed25519 signature, hexadecimal; empty where nothing is signed."""
