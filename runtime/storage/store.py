"""The store port: where a role's records, and those of delivery, become durable together."""

from collections.abc import Sequence
from typing import Protocol

from twintier.runtime.effects import Record
from twintier.runtime.storage.journal import (
    StreamKey,
    Upload,
    connect_journal,
    is_journal_record,
    read_accepted,
    read_uploads,
    write_journal,
)


class StoreError(Exception):
    """The store cannot be used; the message says which file and what to do."""


class Store(Protocol):
    """Keeps a role's records, and the journal of its deliveries."""

    def save(self, records: Sequence[Record]) -> None:
        """Make all of them durable in one transaction, or none."""
        ...

    def uploads(self, src: str) -> list[Upload]:
        """What a source of this process has not been acknowledged yet, oldest first."""
        ...

    def accepted(self, now: float) -> dict[StreamKey, int]:
        """How far each stream from others' outboxes has come."""
        ...

    def close(self) -> None:
        """Let go of what it is kept in, which is whole in its place then; may be called again."""
        ...


class MemoryStore:
    """Keeps records as long as the process lives, in the order they came."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._journal = connect_journal(":memory:")

    def save(self, records: Sequence[Record]) -> None:
        """Append them."""
        for record in records:
            if is_journal_record(record):
                write_journal(self._journal.execute, record)
            else:
                self.records.append(record)

    def uploads(self, src: str) -> list[Upload]:
        """See the port."""
        return read_uploads(self._journal.execute, src)

    def accepted(self, now: float) -> dict[StreamKey, int]:
        """See the port."""
        return read_accepted(self._journal.execute, now)

    def close(self) -> None:
        """Nothing is kept."""
