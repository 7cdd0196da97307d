"""Recording a core's inbox, and playing it back: the debugging tool of this project.

A recording holds every input with its time, and the effects that followed. The same core, built
from the same records and settings, must give equal effects again. Files are pickles of a few named
classes only: reading one runs no code of its own.
"""

import dataclasses
import io
import math
import pickle
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydantic import BaseModel

from broker.core import Core, Input
from broker.effects import Effect
from broker.errors import BrokerError
from protocol.tensors import Tensors

TOLERANCE = 1e-6
OURS = ("protocol", "broker", "inmf", "learning", "cloud_twin", "edge_twin", "plvn_agent")
PLAIN = {
    "builtins": {"frozenset", "set", "complex", "slice", "range", "bytearray"},
    "collections": {"OrderedDict", "deque", "Counter"},
    "datetime": {"datetime", "timedelta", "timezone"},
    "numpy": {"ndarray", "dtype"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
}
_LENGTH = struct.Struct("<I")


class RecordingError(BrokerError):
    """A file that is no recording of ours."""


@dataclass(frozen=True, slots=True)
class Step:
    """One input and what followed."""

    now: float
    taken: Input
    effects: tuple[Effect, ...]
    raised: str
    """The error that the core raised instead; empty if it raised none."""


class Recorder:
    """Appends steps to a file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("wb")

    def write(self, step: Step) -> None:
        """Append a step."""
        frame = pickle.dumps(step, protocol=5)
        self._file.write(_LENGTH.pack(len(frame)) + frame)

    def close(self) -> None:
        """Write what is buffered and close."""
        self._file.close()


def read_steps(path: Path) -> Iterator[Step]:
    """The steps of a recording; a last one that was cut off is left out.

    Raises:
        RecordingError: if the file holds anything else.
    """
    with path.open("rb") as file:
        while len(head := file.read(_LENGTH.size)) == _LENGTH.size:
            frame = file.read(*_LENGTH.unpack(head))
            if len(frame) < _LENGTH.unpack(head)[0]:
                return
            yield _read(frame, path)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where playing back went another way."""

    index: int
    taken: Input
    recorded: Sequence[Effect]
    played: Sequence[Effect]
    reason: str


def replay(core: Core, steps: Iterator[Step]) -> tuple[int, Difference | None]:
    """Give a core its recorded inputs.

    Args:
        core: as it was when recording began.
        steps: of the recording.

    Returns:
        How many steps agreed, and the first that did not.
    """
    index = 0
    for index, step in enumerate(steps):
        raised, played = "", tuple[Effect, ...]()
        try:
            played = tuple(core.receive(step.taken, step.now))
        except Exception as error:  # noqa: BLE001  # the core's own error, compared with the recorded
            raised = repr(error)
        reason = f"raised {raised}" if raised != step.raised else difference(step.effects, played)
        if reason:
            return index, Difference(index, step.taken, step.effects, played, reason)
    return index + 1, None


def difference(one: object, other: object, place: str = "effects") -> str:
    """Where two values differ beyond the tolerance; empty if they do not."""
    if isinstance(one, Tensors) and isinstance(other, Tensors):
        return difference(one.unpack(), other.unpack(), place)
    if type(one) is not type(other):
        return f"{place}: {type(one).__name__} became {type(other).__name__}"
    if isinstance(one, float) and isinstance(other, float):
        close = math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        return "" if close else f"{place}: {one} became {other}"
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return _array_difference(one, other, place)
    parts, others = _parts(one), _parts(other)
    if parts is None or others is None:
        return "" if one == other else f"{place}: {one!r} became {other!r}"[:300]
    if parts.keys() != others.keys():
        return f"{place}: parts {list(parts)} became {list(others)}"[:300]
    found = (difference(parts[key], others[key], f"{place}.{key}") for key in parts)
    return next(filter(None, found), "")


def _array_difference(one: np.ndarray, other: np.ndarray, place: str) -> str:
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"{place}: {one.shape} {one.dtype} became {other.shape} {other.dtype}"
    if one.dtype.kind not in "fc":
        return "" if np.array_equal(one, other) else f"{place}: other values"
    if np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
        return ""
    return f"{place}: values differ by up to {np.abs(one - other).max()}"


def _parts(value: object) -> Mapping[object, object] | None:
    """What a value is made of; None if it is compared as a whole."""
    if isinstance(value, BaseModel):
        return dict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return value
    if isinstance(value, tuple | list):
        return dict(enumerate(value))
    return None


class _Unpickler(pickle.Unpickler):
    """Knows our classes and plain containers only."""

    def find_class(self, module: str, name: str) -> object:
        """A class by name.

        Raises:
            RecordingError: if it is none that a recording may hold.
        """
        ours = module.partition(".")[0] in OURS and "." not in name
        if not ours and name not in PLAIN.get(module, ()):
            raise RecordingError(f"a recording may not hold {module}.{name}")
        found: object = super().find_class(module, name)
        if ours and not isinstance(found, type):
            raise RecordingError(f"{module}.{name} is no class")
        return found


def _read(frame: bytes, path: Path) -> Step:
    try:
        step = _Unpickler(io.BytesIO(frame)).load()
    except RecordingError:
        raise
    except Exception as error:
        raise RecordingError(f"{path} is no recording: {error}") from error
    if not isinstance(step, Step):
        raise RecordingError(f"{path} holds a {type(step).__name__}, not a step")
    return step
