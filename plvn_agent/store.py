"""What agents must not forget, in one small SQLite file: whom each obeys, and what it uploads.

One agent may begin while the records of another are being saved in a thread: they take turns.
"""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from twintier.plvn_agent.ownership import AgentRecord, Order
from twintier.protocol.ids import EdgeId, InmfId, PlvnId
from twintier.protocol.upcast import FIRST_INMF
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
from twintier.runtime.storage.store import StoreError

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS owners (plvn TEXT PRIMARY KEY, edge TEXT, fence INTEGER)",
    """
    CREATE TABLE IF NOT EXISTS orders (
        plvn TEXT, inmf TEXT, owner_boot TEXT NOT NULL, version INTEGER NOT NULL,
        PRIMARY KEY (plvn, inmf)
    )
    """,
)
_OLD_ORDERS = ("owner_boot", "version")
"""Columns of owners in files of the first release, which had one INMF."""


class AgentStore:
    """Owners and outboxes of the PLVNs of one process."""

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            StoreError: if it cannot be used.
        """
        self._turn = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = connect_journal(str(path))
            with self._connection:
                for statement in _SCHEMA:
                    self._connection.execute(statement)
                self._migrate()
        except (sqlite3.DatabaseError, OSError) as error:
            raise StoreError(
                f"{path} cannot be used: {error}; end who else holds it, restore it from a copy, "
                "or name another folder with --state"
            ) from error

    def save(self, records: Sequence[Record]) -> None:
        """Keep the records, all or none.

        Raises:
            TypeError: if an agent keeps no record of a class.
        """
        with self._turn, self._connection:
            for record in records:
                if is_journal_record(record):
                    write_journal(self._connection.execute, record)
                elif isinstance(record, AgentRecord):
                    self._write(record)
                else:
                    raise TypeError(f"the agent store keeps no {type(record).__name__}")

    def uploads(self, src: str) -> list[Upload]:
        """What a PLVN has not been acknowledged yet, oldest first."""
        with self._turn:
            return read_uploads(self._connection.execute, src)

    def accepted(self, now: float) -> dict[StreamKey, int]:
        """How far each stream from others' outboxes has come."""
        with self._turn, self._connection:
            return read_accepted(self._connection.execute, now)

    def load(self, plvn: PlvnId) -> AgentRecord | None:
        """Whom a PLVN obeyed last; None if it is new."""
        owner = "SELECT edge, fence FROM owners WHERE plvn = ?"
        newest = "SELECT inmf, owner_boot, version FROM orders WHERE plvn = ? ORDER BY inmf"
        with self._turn:
            row = self._connection.execute(owner, (plvn,)).fetchone()
            kept = self._connection.execute(newest, (plvn,)).fetchall()
        if row is None:
            return None
        orders = tuple((InmfId(inmf), Order(str(boot), int(v))) for inmf, boot, v in kept)
        return AgentRecord(plvn, EdgeId(row[0]), Fence(row[1]), orders)

    def _write(self, record: AgentRecord) -> None:
        execute, plvn = self._connection.execute, record.plvn
        owner = (plvn, record.edge, record.fence)
        execute("INSERT OR REPLACE INTO owners VALUES (?, ?, ?)", owner)
        execute("DELETE FROM orders WHERE plvn = ?", (plvn,))
        for inmf, order in record.orders:
            values = (plvn, inmf, order.owner_boot, order.version)
            execute("INSERT INTO orders VALUES (?, ?, ?, ?)", values)

    def _migrate(self) -> None:
        """Move orders of the first release to where those of each INMF are kept."""
        execute = self._connection.execute
        present = {row[1] for row in execute("PRAGMA table_info(owners)")}
        if present.issuperset(_OLD_ORDERS):
            execute(
                "INSERT OR IGNORE INTO orders "
                "SELECT plvn, ?, owner_boot, version FROM owners WHERE version > 0",
                (FIRST_INMF,),
            )
        for column in present.intersection(_OLD_ORDERS):
            execute(f"ALTER TABLE owners DROP COLUMN {column}")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
