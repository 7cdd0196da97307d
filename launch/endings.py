"""How a process that runs until a signal can end otherwise, each with its exit code."""

import asyncio
from collections.abc import Callable, Coroutine

from twintier.broker.errors import LocalBusError
from twintier.inmf.registry import UnknownInmfError
from twintier.launch.exit_codes import ExitCode
from twintier.launch.files import OpenFilesError
from twintier.launch.problems import say
from twintier.launch.serve import run_until_signal
from twintier.plvn_agent.source import SourceError
from twintier.runtime.delivery.presence import TakenOverError
from twintier.runtime.recording.recorder import RecordingError
from twintier.runtime.storage.store import StoreError
from twintier.runtime.supervisor import StoreFailingError

_CODES: tuple[tuple[type[Exception], ExitCode], ...] = (
    (SourceError, ExitCode.SOURCE),
    (UnknownInmfError, ExitCode.CONTRACT),
    (StoreFailingError, ExitCode.NOT_SAVED),
    (StoreError, ExitCode.STORE),
    (TakenOverError, ExitCode.TAKEN_OVER),
    (LocalBusError, ExitCode.USAGE),
    (RecordingError, ExitCode.USAGE),
    (OpenFilesError, ExitCode.USAGE),
)
"""The first that fits."""


def run_to_the_end(main: Callable[[asyncio.Event], Coroutine[None, None, int]]) -> int:
    """Run until a signal; what cannot be gone on from is said, and gives its exit code."""
    try:
        return run_until_signal(main)
    except tuple(kind for kind, _ in _CODES) as error:
        return say(error, next(code for kind, code in _CODES if isinstance(error, kind)))
