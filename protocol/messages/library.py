"""The library of meta models: index, request, offer."""

from typing import Literal

from twintier.protocol.ids import InmfName
from twintier.protocol.messages.base import (
    Category,
    Count,
    Digest,
    Message,
    Name,
    Real,
    Text,
    Version,
)
from twintier.protocol.tensors import Tensors


class LibraryIndexed(Message):
    """A meta model that the cloud twin has; retained, the newest version of each."""

    inmf: InmfName
    category: Category
    version: Version
    model: Digest
    iterations: Count
    adaptation_reward_first: Real
    adaptation_reward_last: Real


class MetaModelRequested(Message):
    """An edge server asks for a meta model by category."""

    inmf: InmfName
    category: Category
    version: Version


class MetaModelOffered(Message):
    """The meta model asked for, in its newest version.

    `parameters` holds init (n,), where adaptation starts, log_step_sizes (n,) and prior (n,), which
    acts before the first update, if it is another vector; float32.
    """

    inmf: InmfName
    category: Category
    version: Version
    model: Digest
    schema_id: Name
    parameters: Tensors


class MetaModelMissing(Message):
    """There is no such meta model."""

    inmf: InmfName
    category: Category
    code: Literal["unknown_category", "not_trained"]
    reason: Text
