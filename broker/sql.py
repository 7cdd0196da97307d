"""SQLite as every store here uses it: write-ahead log, one writer, full durability."""

from pathlib import Path

from sqlalchemy import Engine, MetaData, create_engine, event, text


class StoreError(Exception):
    """The store cannot be used; the message says which file and what to do."""


def open_database(path: Path, metadata: MetaData, *, version: int) -> Engine:
    """Open or create a database whose schema has this version.

    Raises:
        StoreError: if the file holds a schema of another version.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _configure(connection: object, _record: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]  # DB-API connection
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA busy_timeout=5000")
        cursor.close()

    with engine.begin() as connection:
        found = int(connection.execute(text("PRAGMA user_version")).scalar_one())
        if found not in {0, version}:
            raise StoreError(
                f"{path} has schema version {found}, this release reads {version}; "
                "move the file away or use the release that wrote it"
            )
        metadata.create_all(connection)
        connection.execute(text(f"PRAGMA user_version={version}"))
    return engine
