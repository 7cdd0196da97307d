"""Files that hold secrets: readable by their owner only, and written whole or not at all."""

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from twintier.broker.errors import CertificateError

FOLDER_MODE = 0o700
SECRET_MODE = 0o600
OPEN_MODE = 0o644
SECRET_SUFFIX = ".key"  # noqa: S105  # an ending of names
KNOWN_SUFFIXES = frozenset({".pem", ".key", ".pub"})


def make_folder(folder: Path, files: Mapping[str, bytes], *, force: bool) -> None:
    """Make a folder with files; an interrupted call leaves what was there before.

    Args:
        folder: to make; an empty one may be there.
        files: content by name; names that end in `.key` are secret.
        force: whether an old folder of such files is replaced.

    Raises:
        CertificateError: if something is there that may not be replaced.
    """
    _check_replaceable(folder, force=force)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.new"
    try:
        fresh.mkdir(mode=FOLDER_MODE)
        for name, content in files.items():
            _write(fresh / name, content)
        _swap(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def replace_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, over old ones of these names.

    All are on disk under other names before the first takes its place, in the order given.
    """
    mark = secrets.token_hex(4)
    fresh = {name: folder / f".{name}.{mark}" for name in files}
    try:
        for name, path in fresh.items():
            _write(path, files[name])
        for name, path in fresh.items():
            path.replace(folder / name)
    finally:
        for path in fresh.values():
            path.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    mode = SECRET_MODE if SECRET_SUFFIX in path.suffixes else OPEN_MODE
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _check_replaceable(folder: Path, *, force: bool) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise CertificateError(f"{folder} is no folder; name another one")
    names = sorted(path.name for path in folder.iterdir())
    if names and not force:
        raise CertificateError(
            f"{folder} holds {len(names)} files, the first {names[0]!r}; name another folder, "
            "use `twintier certs add` or `rotate`, or give --force to replace all of them"
        )
    foreign = [n for n in names if Path(n).suffix not in KNOWN_SUFFIXES or (folder / n).is_dir()]
    if foreign:
        raise CertificateError(
            f"{folder} holds {foreign[0]!r}, which is no certificate or key; move it away or name "
            "another folder"
        )


def _swap(fresh: Path, folder: Path) -> None:
    """Put a new folder in an old one's place; the old one is deleted last."""
    if not folder.exists():
        fresh.rename(folder)
        return
    old = fresh.with_suffix(".old")
    folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old)
