"""A folder that one process at a time may write into."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twintier.runtime.storage.store import StoreError

LOCK = "lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made if it is not there; the system lets go of it with the process.

    Raises:
        StoreError: if another process holds it, or it cannot be written.
    """
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(
            f"the folder {folder} cannot be written: {error.strerror}; name another one"
        ) from error
    try:
        _take(handle, folder)
        yield
    finally:
        os.close(handle)


def _take(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(handle, 20).decode(errors="replace").strip()
        raise StoreError(
            f"the folder {folder} is in use by process {holder}; end that one, or name another "
            "folder"
        ) from error
    os.ftruncate(handle, 0)
    os.write(handle, b"%d\n" % os.getpid())
