"""The port of a cache policy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from twintier.protocol.ids import InmfId

Wanted = tuple[InmfId, str]
"""INMF and category of a meta model."""


@dataclass(frozen=True, slots=True)
class Use:
    """How a cached model has been used."""

    taken: int
    """Number of the offer that brought it; grows."""
    times: int = 0
    """How often a twin was given it."""


@runtime_checkable
class CachePolicy(Protocol):
    """Chooses what goes. What twins are matched with is never among the candidates."""

    @property
    def name(self) -> str:
        """As in settings."""
        ...

    def victim(self, candidates: Mapping[Wanted, Use]) -> Wanted:
        """The model to forget, of at least one."""
        ...
