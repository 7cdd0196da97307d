"""SQLite as every store here uses it: write-ahead log, one writer, records beside the journal."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, MetaData, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from twintier.runtime.effects import Record
from twintier.runtime.storage.journal import (
    StreamKey,
    Upload,
    create_journal,
    is_journal_record,
    read_accepted,
    read_uploads,
    write_journal,
)
from twintier.runtime.storage.store import StoreError
from twintier.runtime.storage.weights import Arrays, WeightStore

WEIGHTS = "weights"
"""Folder of model files beside a database."""
Migration = Callable[[Connection], None]
"""Brings a database from one version of its schema to the next."""


def open_database(
    path: Path,
    metadata: MetaData,
    *,
    version: int,
    migrations: Mapping[int, Migration] | None = None,
) -> Engine:
    """Open or create a database whose schema has this version.

    Args:
        path: of the file.
        metadata: tables of this version.
        version: of the schema.
        migrations: by the version that each starts from.

    Raises:
        StoreError: if the file cannot be used, holds a schema of a version that no migration
            starts from, or is new beside model files of another one.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(URL.create("sqlite", database=str(path)))
        _bring_to(engine, path, metadata, version=version, migrations=migrations or {})
    return engine


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Say which file it is that cannot be used, and what to do.

    Raises:
        StoreError: in place of what the file system or the database has raised.
    """
    try:
        yield
    except (DBAPIError, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error.strerror
        raise StoreError(
            f"{path} cannot be used: {cause}; end who else holds it, restore it from a copy, or "
            "name another folder with --state"
        ) from error


def _bring_to(
    engine: Engine,
    path: Path,
    metadata: MetaData,
    *,
    version: int,
    migrations: Mapping[int, Migration],
) -> None:
    """Bring a database to a version of its schema, from an earlier one or from nothing."""

    @event.listens_for(engine, "connect")
    def _configure(connection: object, _record: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]  # DB-API connection
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA busy_timeout=5000")
        cursor.close()

    with engine.begin() as connection:
        found = int(connection.execute(text("PRAGMA user_version")).scalar_one())
        while found in migrations and found < version:
            migrations[found](connection)
            found += 1
        if found not in {0, version}:
            raise StoreError(
                f"{path} has schema version {found}, this release reads {version}; "
                "move the file away or use the release that wrote it"
            )
        if found == 0:
            _check_alone(path)
        metadata.create_all(connection)
        create_journal(connection.exec_driver_sql)
        connection.execute(text(f"PRAGMA user_version={version}"))


def _check_alone(path: Path) -> None:
    """A new database would take the model files of the one that is missing for leftovers."""
    folder = path.parent / WEIGHTS
    count = sum(1 for _ in folder.glob("*.safetensors"))
    if count:
        raise StoreError(
            f"{path} is new, but {folder} holds {count} model files of another one; restore it "
            f"together with its -wal file, or move {folder} away to begin anew"
        )


class SqlStore(ABC):
    """A role's store: its own records, and those of delivery in the same transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._unused: list[tuple[WeightStore, str]] = []
        """Weight files that the transaction under way no longer names."""

    def save(self, records: Sequence[Record]) -> None:
        """Keep the records, all or none.

        Weight files go after the commit: a transaction that is undone still finds its own.

        Raises:
            TypeError: if the role keeps no record of a class.
        """
        self._unused.clear()
        with self._engine.begin() as connection:
            for record in records:
                if is_journal_record(record):
                    write_journal(connection.exec_driver_sql, record)
                else:
                    self._keep(connection, record)
        while self._unused:
            weights, digest = self._unused.pop()
            weights.delete(digest)

    def uploads(self, src: str) -> list[Upload]:
        """What a source of this process has not been acknowledged yet, oldest first."""
        with self._engine.begin() as connection:
            return read_uploads(connection.exec_driver_sql, src)

    def accepted(self, now: float) -> dict[StreamKey, int]:
        """How far each stream from others' outboxes has come."""
        with self._engine.begin() as connection:
            return read_accepted(connection.exec_driver_sql, now)

    def close(self) -> None:
        """Let go of the database; its file is whole without the write-ahead log."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        self._engine.dispose()

    def _keep_weights(self, weights: WeightStore, arrays: Arrays) -> str:
        """Write a weight file before the present transaction is durable; returns its digest."""
        digest = weights.put(arrays)
        self._unused = [each for each in self._unused if each != (weights, digest)]
        return digest

    def _forget_weights(self, weights: WeightStore, digest: str) -> None:
        """Delete a weight file once the present transaction is durable."""
        self._unused.append((weights, digest))

    @abstractmethod
    def _keep(self, connection: Connection, record: Record) -> None:
        """Keep one record of the role.

        Raises:
            TypeError: if the role keeps none of its class.
        """
