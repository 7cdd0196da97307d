"""The store port: where a role's records become durable."""

from collections.abc import Sequence
from typing import Protocol

from broker.effects import Record


class Store(Protocol):
    """Keeps a role's records."""

    def save(self, records: Sequence[Record]) -> None:
        """Make all of them durable in one transaction, or none."""
        ...


class MemoryStore:
    """Keeps records as long as the process lives, in the order they came."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def save(self, records: Sequence[Record]) -> None:
        """Append them."""
        self.records += records


class NoStore:
    """For a role that keeps nothing; saving is an error of that role."""

    def save(self, records: Sequence[Record]) -> None:
        """Refuse.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"this role keeps nothing, but was given {len(records)} records")
