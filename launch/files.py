"""Files that a command writes to, and how many it may open: looked at before the work."""

import errno
import os
import resource
from pathlib import Path


class UnwritableError(Exception):
    """A file that was named cannot be written; the message says why and what to do."""


class OpenFilesError(Exception):
    """This process may not open as many files as it needs; the message says how to allow it."""


def allow_open_files(count: int) -> None:
    """Raise the limit of open files, connections among them, as far as is needed and allowed.

    Raises:
        OpenFilesError: if that is too few.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        raise OpenFilesError(
            f"{count} files and connections are needed and {hard} allowed; raise the limit with "
            f"`ulimit -n {count}`, or ask for fewer PLVNs"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


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
