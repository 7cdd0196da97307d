"""What delivery must not forget, kept in the same SQLite transaction as a role's own records.

A sender keeps what it has accepted for upload until it is acknowledged; a receiver keeps how far it
has come in each stream together with the effect of that message. So a process that is killed at any
moment neither loses nor repeats an effect.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeGuard

Execute = Callable[[str, tuple[object, ...]], Iterable[Sequence[object]]]
"""Runs one statement within the transaction of the caller."""
StreamKey = tuple[str, str, str]
"""(src, boot, stream)."""

FORGOTTEN_AFTER_S = 86_400.0
"""Streams that nobody has sent in for so long are forgotten."""
_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS uploads (
        src TEXT, boot TEXT, stream TEXT, seq INTEGER,
        topic TEXT NOT NULL, payload BLOB NOT NULL, expires_at REAL NOT NULL,
        PRIMARY KEY (src, boot, stream, seq)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS accepted (
        src TEXT, boot TEXT, stream TEXT, seq INTEGER NOT NULL, at REAL NOT NULL,
        PRIMARY KEY (src, boot, stream)
    )
    """,
)


@dataclass(frozen=True, slots=True)
class Upload:
    """A message that is kept until its receiver has acknowledged it."""

    src: str
    boot: str
    stream: str
    seq: int
    topic: str
    payload: bytes
    expires_at: float
    """Unix seconds from which nobody needs it."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Uploads that need not be sent again: numbers `first` to `last` of a stream."""

    src: str
    boot: str
    stream: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """Everything of a stream up to `seq` has had its effect."""

    src: str
    boot: str
    stream: str
    seq: int
    at: float
    """Unix seconds."""
    instead_of: StreamKey | None = None
    """A stream of the same source that is forgotten for it."""


JournalRecord = Upload | Settled | Accepted


def is_journal_record(record: object) -> TypeGuard[JournalRecord]:
    """Whether a record belongs here, not to the role."""
    return isinstance(record, Upload | Settled | Accepted)


def create_journal(execute: Execute) -> None:
    """Make the tables if they are not there."""
    for statement in _TABLES:
        execute(statement, ())


def write_journal(execute: Execute, record: JournalRecord) -> None:
    """Keep one record."""
    match record:
        case Upload():
            execute(
                "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    record.src,
                    record.boot,
                    record.stream,
                    record.seq,
                    record.topic,
                    record.payload,
                    record.expires_at,
                ),
            )
        case Settled():
            execute(
                "DELETE FROM uploads WHERE src = ? AND boot = ? AND stream = ? "
                "AND seq BETWEEN ? AND ?",
                (record.src, record.boot, record.stream, record.first, record.last),
            )
        case Accepted():
            execute(
                "INSERT OR REPLACE INTO accepted VALUES (?, ?, ?, ?, ?)",
                (record.src, record.boot, record.stream, record.seq, record.at),
            )
            if record.instead_of is not None:
                execute(
                    "DELETE FROM accepted WHERE src = ? AND boot = ? AND stream = ?",
                    record.instead_of,
                )


def read_uploads(execute: Execute, src: str) -> list[Upload]:
    """What a source has not been acknowledged yet, in the order it was kept."""
    rows = execute(
        "SELECT boot, stream, seq, topic, payload, expires_at FROM uploads WHERE src = ? "
        "ORDER BY rowid",
        (src,),
    )
    return [
        Upload(src, str(b), str(s), int(str(n)), str(t), _bytes(p), float(str(e)))
        for b, s, n, t, p, e in rows
    ]


def read_accepted(execute: Execute, now: float) -> dict[StreamKey, int]:
    """How far each stream has come, quiet longest first; what is long over is forgotten."""
    execute("DELETE FROM accepted WHERE at < ?", (now - FORGOTTEN_AFTER_S,))
    rows = execute("SELECT src, boot, stream, seq FROM accepted ORDER BY at", ())
    return {(str(a), str(b), str(s)): int(str(n)) for a, b, s, n in rows}


def connect_journal(path: str) -> sqlite3.Connection:
    """A SQLite database with the tables, as durable as a killed process needs.

    Threads may use it one after the other.
    """
    connection = sqlite3.connect(path, timeout=5.0, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    with connection:
        create_journal(connection.execute)
    return connection


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value
