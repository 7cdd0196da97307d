"""What agents must not forget, in one small SQLite file: whom each obeys, under which fence."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from plvn_agent.core import AgentRecord
from protocol.ids import EdgeId, Fence, PlvnId

_SCHEMA = "CREATE TABLE IF NOT EXISTS owners (plvn TEXT PRIMARY KEY, edge TEXT, fence INTEGER)"
_UPSERT = (
    "INSERT INTO owners VALUES (?, ?, ?) ON CONFLICT (plvn) DO UPDATE "
    "SET edge = excluded.edge, fence = excluded.fence"
)


class AgentStore:
    """Owners of the PLVNs of one process."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, timeout=5.0)
        self._connection.execute("PRAGMA journal_mode=WAL")
        with self._connection:
            self._connection.execute(_SCHEMA)

    def save(self, records: Sequence[object]) -> None:
        """Keep the records, all or none."""
        with self._connection:
            for record in records:
                if not isinstance(record, AgentRecord):
                    raise TypeError(f"the agent store keeps no {type(record).__name__}")
                self._connection.execute(_UPSERT, (record.plvn, record.edge, record.fence))

    def load(self, plvn: PlvnId) -> AgentRecord | None:
        """Whom a PLVN obeyed last; None if it is new."""
        query = "SELECT edge, fence FROM owners WHERE plvn = ?"
        row = self._connection.execute(query, (plvn,)).fetchone()
        return None if row is None else AgentRecord(plvn, EdgeId(row[0]), Fence(row[1]))

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
