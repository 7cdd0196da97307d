"""What agents must not forget, in one small SQLite file: whom each obeys, and what it uploads."""

from collections.abc import Sequence
from pathlib import Path

from twintier.plvn_agent.core import AgentRecord
from twintier.protocol.ids import EdgeId, PlvnId
from twintier.protocol.values import Fence
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

_SCHEMA = "CREATE TABLE IF NOT EXISTS owners (plvn TEXT PRIMARY KEY, edge TEXT, fence INTEGER)"
_ADDED = {"owner_boot": "TEXT NOT NULL DEFAULT ''", "version": "INTEGER NOT NULL DEFAULT 0"}
"""Columns that files of earlier releases lack."""
_UPSERT = "INSERT OR REPLACE INTO owners VALUES (?, ?, ?, ?, ?)"


class AgentStore:
    """Owners and outboxes of the PLVNs of one process."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = connect_journal(str(path))
        with self._connection:
            self._connection.execute(_SCHEMA)
            present = {row[1] for row in self._connection.execute("PRAGMA table_info(owners)")}
            for column, kind in _ADDED.items():
                if column not in present:
                    self._connection.execute(f"ALTER TABLE owners ADD COLUMN {column} {kind}")

    def save(self, records: Sequence[Record]) -> None:
        """Keep the records, all or none.

        Raises:
            TypeError: if an agent keeps no record of a class.
        """
        with self._connection:
            for record in records:
                if is_journal_record(record):
                    write_journal(self._connection.execute, record)
                elif isinstance(record, AgentRecord):
                    values = record.plvn, record.edge, record.fence
                    orders = record.owner_boot, record.version
                    self._connection.execute(_UPSERT, (*values, *orders))
                else:
                    raise TypeError(f"the agent store keeps no {type(record).__name__}")

    def uploads(self, src: str) -> list[Upload]:
        """What a PLVN has not been acknowledged yet, oldest first."""
        return read_uploads(self._connection.execute, src)

    def accepted(self, now: float) -> dict[StreamKey, int]:
        """How far each stream from others' outboxes has come."""
        with self._connection:
            return read_accepted(self._connection.execute, now)

    def load(self, plvn: PlvnId) -> AgentRecord | None:
        """Whom a PLVN obeyed last; None if it is new."""
        query = "SELECT edge, fence, owner_boot, version FROM owners WHERE plvn = ?"
        row = self._connection.execute(query, (plvn,)).fetchone()
        if row is None:
            return None
        return AgentRecord(plvn, EdgeId(row[0]), Fence(row[1]), str(row[2]), int(row[3]))

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
