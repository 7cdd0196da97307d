"""Databases of roles: where they are, and what is said of those that cannot be used."""

from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, text

from twintier.runtime.storage.sql import open_database
from twintier.runtime.storage.store import StoreError

METADATA = MetaData()
Table("things", METADATA, Column("id", Integer, primary_key=True))


def opened(path: Path) -> None:
    open_database(path, METADATA, version=1).dispose()


@pytest.mark.parametrize("name", ["run?1", "a%2Fb", "a#b", "a b", "x@y:z", "ü", "a&b=c", "a;b"])
def test_each_folder_has_its_own_file_whatever_its_name(tmp_path: Path, name: str) -> None:
    opened(tmp_path / name / "cloud.sqlite")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert [path.name for path in (tmp_path / name).iterdir()] == ["cloud.sqlite"]


def test_what_is_kept_is_whole_in_its_file_once_it_is_closed(tmp_path: Path) -> None:
    first, copy = tmp_path / "first.sqlite", tmp_path / "copy.sqlite"
    engine = open_database(first, METADATA, version=1)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO things VALUES (7)"))
    engine.dispose()
    copy.write_bytes(first.read_bytes())
    engine = open_database(copy, METADATA, version=1)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT id FROM things")).scalar_one() == 7
    engine.dispose()


def garbage(path: Path) -> None:
    path.write_bytes(b"garbage" * 100)


def cut_off(path: Path) -> None:
    opened(path)
    path.write_bytes(path.read_bytes()[:5000])


def newer(path: Path) -> None:
    open_database(path, METADATA, version=9).dispose()


@pytest.mark.parametrize("spoil", [garbage, cut_off, Path.mkdir])
def test_a_file_that_is_no_database_is_named_with_what_to_do(tmp_path: Path, spoil) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    path = tmp_path / "cloud.sqlite"
    spoil(path)
    with pytest.raises(StoreError, match=rf"^{path} cannot be used: .*; .*--state$"):
        opened(path)


def test_a_folder_that_is_a_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot be used: File exists; .*--state$"):
        opened(tmp_path / "file" / "cloud.sqlite")


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    newer(tmp_path / "x.sqlite")
    with pytest.raises(StoreError, match="has schema version 9, this release reads 1"):
        opened(tmp_path / "x.sqlite")


def test_a_new_database_beside_model_files_of_another_one_stops(tmp_path: Path) -> None:
    path, model = tmp_path / "cloud.sqlite", tmp_path / "weights" / "a.safetensors"
    model.parent.mkdir()
    model.touch()
    with pytest.raises(StoreError, match=r"is new, but .* holds 1 model files of another one"):
        opened(path)
    assert model.exists()
    model.unlink()
    opened(path)
    model.touch()
    opened(path)
