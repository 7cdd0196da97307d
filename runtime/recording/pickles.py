"""Pickles that run no code when they are read, whoever wrote them.

Reading makes instances of this project's own classes, of those of packages that register INMFs or
sources (which count as ours), and of a few plain containers, nothing else.
Records (dataclasses, messages, enums) are made as pickle makes them; of any other class of ours a
blank instance is made and its attributes are set, so that no constructor of it is ever called.
Frozen records keep the names of their fields, for pickle itself would fill them by position and
so mix up those of another build without a word.
"""

import dataclasses
import importlib
import io
import pickle
from collections.abc import Mapping
from enum import Enum
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from pydantic import BaseModel

from twintier.broker.errors import BrokerError
from twintier.runtime.recording.old_names import present_class, present_field

OURS = "twintier."
GROUPS = ("twintier.inmf", "twintier.source")
"""Packages with entry points here run in this process anyway; their classes are in what it does."""
PLAIN = {
    "builtins": {"frozenset", "set", "complex", "slice", "range", "bytearray"},
    "collections": {"OrderedDict", "deque", "Counter", "defaultdict"},
    "datetime": {"datetime", "timedelta", "timezone"},
    "numpy": {"ndarray", "dtype"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
    "numpy.random._pickle": {"__generator_ctor", "__bit_generator_ctor"},
    "numpy.random._pcg64": {"PCG64"},
    "numpy.random.bit_generator": {"SeedSequence", "__pyx_unpickle_SeedSequence"},
}


class UnreadableError(BrokerError):
    """Bytes that are no pickle, or that hold what must not be read."""


class OtherReleaseError(UnreadableError):
    """A class that is gone in this build, or has other fields."""


class UnwritableError(BrokerError):
    """A value that could not be read again, so it is not written."""


def dumps(value: object) -> bytes:
    """The bytes of a value.

    Raises:
        UnwritableError: if a part of it is of a class that `loads` would refuse, such as a key.
    """
    out = io.BytesIO()
    try:
        _Pickler(out, protocol=5).dump(value)
    except UnwritableError:
        raise
    except Exception as error:  # pickle raises what it likes, by the class that it meets
        raise UnwritableError(f"a {type(value).__name__} cannot be written: {error}") from error
    return out.getvalue()


def loads(data: bytes) -> object:
    """The value in some bytes.

    Raises:
        OtherReleaseError: if a class is gone in this build, or has other fields.
        UnreadableError: if there is none, or it holds another class than `dumps` writes.
    """
    try:
        value: object = _Unpickler(io.BytesIO(data)).load()
    except UnreadableError:
        raise
    except Exception as error:  # as above
        raise UnreadableError(f"{type(error).__name__}: {error}"[:300]) from error
    return value


def is_ours(module: str, name: str) -> bool:
    """Whether a class may be one of this project or of a plug-in, by its name alone."""
    ours = module.startswith(OURS) or module.partition(".")[0] in plugin_packages()
    return ours and "." not in name


def blank(module: str, name: str) -> object:
    """An instance of a class of ours that is no record, without its constructor.

    Raises:
        UnreadableError: if there is no such class, or it is none of ours.
    """
    module, name = present_class(module, name)
    if not is_ours(module, name):
        raise UnreadableError(f"may not hold {module}.{name}")
    found = _found(module, name)
    if _is_record(found):
        raise UnreadableError(f"{module}.{name} is a record, which is never blank")
    return object.__new__(found)


def unfilled(kind: type) -> object:
    """A frozen record whose fields are set later.

    Raises:
        UnreadableError: if it is no such class.
    """
    if not isinstance(kind, type) or not _is_frozen(kind):
        raise UnreadableError(f"{kind!r} is no frozen record")
    return object.__new__(kind)


def fill(record: object, values: Mapping[str, object]) -> None:
    """Set the fields of a frozen record; a field that it did not have then gets its default.

    Raises:
        UnreadableError: if it is none of ours.
        OtherReleaseError: if the fields of this build cannot take the values.
    """
    kind = type(record)
    if not _is_frozen(kind):
        raise UnreadableError(f"{kind.__module__}.{kind.__name__} is no frozen record")
    values = {present_field(kind, name): value for name, value in values.items()}
    fields = {field.name: field for field in dataclasses.fields(record)}  # type: ignore[arg-type]
    defaults = {name: _default(field) for name, field in fields.items() if name not in values}
    wrong = [name for name in values if name not in fields]
    wrong += [name for name, value in defaults.items() if value is dataclasses.MISSING]
    if wrong:
        raise OtherReleaseError(
            f"{kind.__module__}.{kind.__name__} had other fields then: {', '.join(wrong)}"
        )
    for name, value in {**values, **defaults}.items():
        object.__setattr__(record, name, value)


class _Pickler(pickle.Pickler):
    """Writes instances of our classes so that no constructor is needed to read them."""

    def reducer_override(self, value: object) -> Any:  # noqa: ANN401  # pickle's own signature
        """How an instance is written; `NotImplemented` is pickle's word for `as usual`."""
        kind = type(value)
        if isinstance(value, type) or not is_ours(kind.__module__, kind.__qualname__):
            return NotImplemented
        if _is_frozen(kind):
            values = {name: getattr(value, name) for name in _names(kind)}
            return (unfilled, (kind,), values, None, None, fill)
        if _is_record(kind):
            return NotImplemented
        reduced = value.__reduce_ex__(4)
        assert isinstance(reduced, tuple)
        made, arguments, *rest = reduced
        if getattr(made, "__name__", "") != "__newobj__" or arguments != (kind,):
            raise UnwritableError(f"{kind.__module__}.{kind.__name__} has a pickle of its own")
        return (blank, (kind.__module__, kind.__name__), *rest)


class _Unpickler(pickle.Unpickler):
    """Knows records of ours and plain containers only."""

    def find_class(self, module: str, name: str) -> object:
        """A class by name.

        Raises:
            UnreadableError: if it is none that may be read.
        """
        module, name = present_class(module, name)
        if module == __name__ and name in {"blank", "fill", "unfilled"}:
            return {"blank": blank, "fill": fill, "unfilled": unfilled}[name]
        if name in PLAIN.get(module, ()):
            plain: object = super().find_class(module, name)
            return plain
        if not is_ours(module, name):
            raise UnreadableError(f"may not hold {module}.{name}")
        found = _found(module, name)
        if not _is_record(found):
            raise UnreadableError(f"may not hold {module}.{name}, which is no record")
        return found


@cache
def plugin_packages() -> frozenset[str]:
    """Top-level names of packages that register INMFs or sources."""
    points = [point for group in GROUPS for point in entry_points(group=group)]
    return frozenset(point.module.partition(".")[0] for point in points)


def _is_record(kind: type) -> bool:
    return dataclasses.is_dataclass(kind) or issubclass(kind, BaseModel | Enum | tuple)


def _names(kind: type) -> tuple[str, ...]:
    assert dataclasses.is_dataclass(kind)
    return tuple(field.name for field in dataclasses.fields(kind))


def _is_frozen(kind: type) -> bool:
    """Whether pickle would fill it by position."""
    return dataclasses.is_dataclass(kind) and "__setstate__" in vars(kind)


def _default(field: "dataclasses.Field[object]") -> object:
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


def _found(module: str, name: str) -> type:
    try:
        found: object = getattr(importlib.import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise OtherReleaseError(f"{module}.{name} is gone") from error
    if not isinstance(found, type):
        raise UnreadableError(f"{module}.{name} is no class")
    return found
