"""Recording a core: the core as it was, then every input with what followed.

A recording is self-contained: `runtime.recording.replay` rebuilds the core from its first frame and
gives it the same inputs again. Each frame is with the system before the next input is taken, so a
killed process leaves all but the last one. A recorder that cannot write any more ends the
recording, never the process. Reading runs no code (`runtime.recording.pickles`).
"""

import struct
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import structlog

from twintier.broker.errors import BrokerError
from twintier.runtime.core import Core, Input, Role
from twintier.runtime.effects import Effect
from twintier.runtime.recording import pickles
from twintier.runtime.recording.pickles import OtherReleaseError, UnreadableError, UnwritableError

log = structlog.get_logger()

MAGIC = b"twintier inbox\n"
VERSION = 1
MAX_FRAME_BYTES = 1 << 30
_LENGTH = struct.Struct("<I")


class RecordingError(BrokerError):
    """A file that is no recording of ours, or a core that cannot be recorded."""


class OtherRecordingError(RecordingError):
    """A recording of another release, whose core had other parts."""

    def __init__(self, path: Path, reason: str) -> None:
        """Say what this build has no place for."""
        super().__init__(f"{path} was recorded by another release: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a recording begins with."""

    version: int
    core: Core
    """As it was before its first input."""


@dataclass(frozen=True, slots=True)
class Step:
    """One input and what followed."""

    now: float
    taken: Input
    effects: tuple[Effect, ...]
    raised: str
    """The error that the core raised instead; empty if it raised none."""


class Recorder:
    """Writes the recording of one core."""

    def __init__(self, path: Path, core: Core) -> None:
        """Begin a recording with the core as it is now.

        Raises:
            RecordingError: if the core holds what could not be read again, or the file cannot be
                made.
        """
        try:
            first = pickles.dumps(Beginning(VERSION, core))
            pickles.loads(first)
        except (UnreadableError, UnwritableError) as error:
            raise RecordingError(
                f"this core cannot be recorded: {error}; run it without --inbox"
            ) from error
        self._path = path
        self._file: BinaryIO | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
            self._file.write(MAGIC + _LENGTH.pack(len(first)) + first)
            self._file.flush()
        except OSError as error:
            raise RecordingError(f"cannot record into {path}: {error.strerror}") from error

    def write(self, step: Step) -> None:
        """Append a step; if that fails, the recording ends here and the log says why."""
        if self._file is None:
            return
        try:
            frame = pickles.dumps(step)
            self._file.write(_LENGTH.pack(len(frame)) + frame)
            self._file.flush()
        except (OSError, UnwritableError) as error:
            log.exception("recording ends", path=str(self._path), reason=str(error))
            self._file = None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


class RecordedCore:
    """A core whose inputs and effects are recorded as they pass."""

    def __init__(self, core: Core, path: Path) -> None:
        """Begin the recording; see `Recorder` for what is raised."""
        self._core = core
        self._recorder = Recorder(path, core)

    @property
    def role(self) -> Role:
        """Which role it plays."""
        return self._core.role

    @property
    def id(self) -> str:
        """Its identity within the role."""
        return self._core.id

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        """Give the core an input, and keep both input and effects."""
        try:
            effects = self._core.receive(event, now)
        except Exception as error:
            self._recorder.write(Step(now, event, (), repr(error)))
            raise
        self._recorder.write(Step(now, event, tuple(effects), ""))
        return effects

    def goodbye(self) -> Sequence[Effect]:
        """The core's own; not recorded, for it changes nothing."""
        return self._core.goodbye()


def read_beginning(path: Path) -> Beginning:
    """What a recording begins with; each call makes a fresh core.

    Raises:
        OSError: if it cannot be read.
        OtherRecordingError: if another release has written it, with other classes.
        RecordingError: if it is no recording, or of another version.
    """
    with closing(read_values(path, pickles.loads)) as values:
        return _beginning(values, path)


def read_steps(path: Path) -> Iterator[Step]:
    """The steps of a recording; a last one that was cut off is left out.

    Raises:
        OSError: if it cannot be read.
        OtherRecordingError: if another release has written it, with other classes.
        RecordingError: if the file holds anything else.
    """
    values = read_values(path, pickles.loads)
    _beginning(values, path)
    for value in values:
        if not isinstance(value, Step):
            raise RecordingError(f"{path} holds a {type(value).__name__}, not a step")
        yield value


def read_values(path: Path, loads: Callable[[bytes], object]) -> Generator[object]:
    """What a recording's frames hold, one after the other, up to one that was cut off.

    Args:
        path: of the recording.
        loads: makes a value of a frame's bytes, or raises `UnreadableError`.

    Raises:
        OSError: if it cannot be read.
        OtherRecordingError: if another release has written it, with other classes.
        RecordingError: if it is no recording, or damaged.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise RecordingError(f"{path} is no recording; make one with the option --inbox")
        while (frame := _frame(file, path)) is not None:
            try:
                value = loads(frame)
            except OtherReleaseError as error:
                raise OtherRecordingError(path, str(error)) from error
            except UnreadableError as error:
                place = file.tell() - len(frame)
                raise RecordingError(f"{path} at byte {place}: {error}") from error
            yield value


def _beginning(values: Iterator[object], path: Path) -> Beginning:
    value = next(values, None)
    if not isinstance(value, Beginning):
        raise RecordingError(f"{path} was cut off, or does not begin with a core")
    if value.version != VERSION:
        raise RecordingError(f"{path} is of version {value.version}; this reads {VERSION}")
    return value


def _frame(file: BinaryIO, path: Path) -> bytes | None:
    """The next frame; None at the end, also where the last frame was cut off."""
    head = file.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    place, size = file.tell(), _LENGTH.unpack(head)[0]
    if size > MAX_FRAME_BYTES:
        raise RecordingError(f"{path} is damaged: at byte {place} a frame of {size} bytes begins")
    frame = file.read(size)
    return frame if len(frame) == size else None
