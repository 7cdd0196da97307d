"""Standard output, whose loss ends a command with its reason, and standard error, which may fail.

What a command prints is its result; logs, tables and problems on standard error are only a screen.
"""

import os
import sys
from typing import TextIO


class OutputError(Exception):
    """Standard output takes nothing, so that what was asked for is lost."""


class _Stream:
    """A stream of text that cannot fail for want of a character."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


class Output(_Stream):
    """Standard output."""

    def write(self, text: str) -> int:
        """Write.

        Raises:
            BrokenPipeError: if whoever reads has had enough.
            OutputError: if nothing can be written.
        """
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _lost(error) from error

    def flush(self) -> None:
        """Hand over what was written; see `write`."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _lost(error) from error


class Screen(_Stream):
    """Standard error: what cannot be shown is not shown, and the work goes on."""

    def write(self, text: str) -> int:
        """Write what can be written."""
        try:
            return self._stream.write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        """Hand over what can be handed over."""
        try:
            self._stream.flush()
        except OSError:
            return


def guard_streams() -> None:
    """Put both in the place of what this process was started with; a closed one takes nothing."""
    output = sys.stdout or _closed()
    sys.stdout = Output(output)
    sys.stderr = Screen(sys.stderr or _closed())


def _closed() -> TextIO:
    """A stream that refuses all, at a descriptor that nothing else can come to stand behind."""
    return open(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")  # noqa: PTH123


def _lost(error: OSError) -> OutputError:
    reason = error.strerror or error
    return OutputError(f"standard output takes nothing: {reason}; send it to another file")
