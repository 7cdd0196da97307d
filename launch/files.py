"""Files that a command writes its results to: looked at before the work, not after it."""

import errno
import os
from pathlib import Path


class UnwritableError(Exception):
    """A file that was named cannot be written; the message says why and what to do."""


def check_writable(path: Path | None) -> None:
    """Look whether a file can be made or written over; without one, nothing is looked at.

    Raises:
        UnwritableError: if it cannot.
    """
    if path is None:
        return
    problem = ""
    if not path.parent.is_dir():
        problem = f"{path.parent} is no folder"
    elif path.is_dir():
        problem = "it is a folder"
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        problem = os.strerror(errno.EACCES)
    if problem:
        raise UnwritableError(f"{path} cannot be written: {problem}; name another file")
