"""Reading any recording without its classes: what a release before wrote, and what this one writes.

Cores change from release to release, so that an old recording cannot be played; what it holds can
still be looked at. Everything of this project becomes a `Foreign` record here, with the names and
values that stand in the file. So nothing of ours is made, no code of it runs, and all else is
refused as `runtime.recording.pickles` refuses it.
"""

import io
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar, Self, TypeGuard

from twintier.runtime.recording import pickles
from twintier.runtime.recording.old_names import present_class
from twintier.runtime.recording.pickles import PLAIN, UnreadableError, is_ours
from twintier.runtime.recording.recorder import VERSION, RecordingError, read_values


class Foreign:
    """A value of a class of this project, known by its name and what it held."""

    module: ClassVar[str]
    """Where the class stands today, if it was moved since."""
    name: ClassVar[str]
    arguments: tuple[object, ...]
    """What it was made of, such as the value of an enumeration."""
    values: Mapping[str, object]
    """Its fields or attributes."""

    def __new__(cls, *arguments: object) -> Self:
        """A record without values yet; `pickle` sets them."""
        made = super().__new__(cls)
        made.arguments, made.values = arguments, {}
        return made

    def __setstate__(self, state: object) -> None:
        """Take the values in any of the shapes in which `pickle` keeps them."""
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, Mapping):
                inner = part.get("__dict__")  # where a message of pydantic keeps its fields
                self.values = {**self.values, **(inner if isinstance(inner, Mapping) else part)}


@dataclass(frozen=True, slots=True)
class ForeignStep:
    """One input and what followed, as `recorder.Step`."""

    now: float
    taken: Foreign
    effects: tuple[Foreign, ...]
    raised: str


def loads(data: bytes) -> object:
    """The value in some bytes, with `Foreign` records in place of all that is ours.

    Raises:
        UnreadableError: if there is none, or it holds what is neither ours nor plain.
    """
    try:
        value: object = _Unpickler(io.BytesIO(data)).load()
    except UnreadableError:
        raise
    except Exception as error:  # pickle raises what it likes, by what the bytes hold
        raise UnreadableError(f"{type(error).__name__}: {error}"[:300]) from error
    return value


def read_core(path: Path) -> Foreign:
    """The core that a recording begins with.

    Raises:
        OSError: if it cannot be read.
        RecordingError: if it is no recording, or of another version.
    """
    with closing(read_values(path, loads)) as values:
        first = next(values, None)
    fields = first.values if _is_called(first, "Beginning") else {}
    core, version = fields.get("core"), fields.get("version")
    if not isinstance(core, Foreign):
        raise RecordingError(f"{path} was cut off, or does not begin with a core")
    if version != VERSION:
        raise RecordingError(f"{path} is of version {version}; this reads {VERSION}")
    return core


def read_foreign(path: Path) -> Iterator[ForeignStep]:
    """The steps of a recording; a last one that was cut off is left out.

    Raises:
        OSError: if it cannot be read.
        RecordingError: if the file holds anything else.
    """
    values = read_values(path, loads)
    next(values, None)  # what it begins with
    for value in values:
        step = _step(value.values) if _is_called(value, "Step") else None
        if step is None:
            raise RecordingError(f"{path} holds a {_name(value)}, not a step")
        yield step


class _Unpickler(pickle.Unpickler):
    """Knows no class of ours; each gets a kind of `Foreign` of its own."""

    def find_class(self, module: str, name: str) -> object:
        """What stands for a class.

        Raises:
            UnreadableError: if it is neither ours nor plain.
        """
        module, name = present_class(module, name)
        if module == pickles.__name__ and name in _MAKERS:
            return _MAKERS[name]
        if name in PLAIN.get(module, ()):
            plain: object = super().find_class(module, name)
            return plain
        if not is_ours(module, name):
            raise UnreadableError(f"may not hold {module}.{name}")
        return _kind(module, name)


@cache
def _kind(module: str, name: str) -> type[Foreign]:
    return type(name, (Foreign,), {"module": module, "name": name})


def _blank(module: str, name: str) -> Foreign:
    module, name = present_class(module, name)
    if not is_ours(module, name):
        raise UnreadableError(f"may not hold {module}.{name}")
    return _kind(module, name)()


def _unfilled(kind: type[Foreign]) -> Foreign:
    return kind()


def _fill(record: Foreign, values: Mapping[str, object]) -> None:
    record.values = values


_MAKERS: Mapping[str, Callable[..., object]] = {
    "blank": _blank,
    "fill": _fill,
    "unfilled": _unfilled,
}
"""What stands in for the functions that `pickles` writes into a recording."""


def _step(values: Mapping[str, object]) -> ForeignStep | None:
    match values:
        case {
            "now": float(now),
            "taken": Foreign() as taken,
            "effects": tuple(effects),
            "raised": str(raised),
        }:
            ours = tuple(effect for effect in effects if isinstance(effect, Foreign))
            return ForeignStep(now, taken, ours, raised)
        case _:
            return None


def _is_called(value: object, name: str) -> TypeGuard[Foreign]:
    return isinstance(value, Foreign) and value.name == name


def _name(value: object) -> str:
    return value.name if isinstance(value, Foreign) else type(value).__name__
