"""What is set: by default, in a file, in the environment, by option; the last one counts."""

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from twintier.launch.settings.described import Described, described, shown_value
from twintier.launch.settings.errors import SettingError, guess, nearest
from twintier.launch.settings.model import (
    BETWEEN,
    PREFIX,
    SectionModel,
    from_environment,
    from_file,
    model_of,
    start_of,
)
from twintier.launch.settings.tree import SECTIONS, Section, bounds_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CONFIG = f"{PREFIX}CONFIG"
"""Names the file, where no option does."""
RESEMBLES = 0.85
LIST = "twintier config show"
T = TypeVar("T", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class Given:
    """What a command line says of settings."""

    options: Mapping[str, str | bool] = field(default_factory=dict)
    """By path."""
    config: Path | None = None
    sets: tuple[str, ...] = ()
    """As `--set` has them, such as `cloud.tasks=5`; an option of its own name goes before."""

    def again(self) -> tuple[str, ...]:
        """The words that give another process the same file and options."""
        words = [] if self.config is None else ["--config", str(self.config.absolute())]
        for each in (*self.sets, *(f"{path}={value}" for path, value in self.options.items())):
            words += ["--set", each]
        return tuple(words)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from."""

    path: str
    value: object
    origin: str
    """`default`, `option`, or the name of the file or variable."""


class Settings:
    """All settings of a process; a section is read when it is asked for."""

    def __init__(self, given: Given) -> None:
        """Look for names that do not exist.

        Raises:
            SettingError: if there is one, or the file cannot be read.
        """
        self.given = given
        self._file = given.config or _file_of_environment()
        self._in_file = {} if self._file is None else _read(self._file)
        self._options = _by_option(given)
        for path in flat(self._in_file):
            _check_known(path, f"{self._file} sets it")
        _check_environment()

    def of(self, kind: type[T]) -> T:
        """The section of a settings class.

        Raises:
            SettingError: if a value in it cannot be used.
        """
        section = _section_of(kind)
        make: Callable[..., T] = kind
        start = make(**section.defaults)
        return _as_dataclass(self._validated(section, self._model(section, start)), start)

    def origins(self) -> Iterator[Origin]:
        """Every setting with its value and where that comes from.

        Raises:
            SettingError: if a value cannot be used.
        """
        for section in SECTIONS.values():
            start = start_of(section)
            model = self._model(section, start)
            values = flat({section.name: self._validated(section, model).model_dump()})
            environment = flat({section.name: from_environment(model)})
            file = flat({section.name: from_file(model)})
            for path, value in values.items():
                origin = "default"
                if path in self._options:
                    origin = "option"
                elif path in environment:
                    origin = variable(path)
                elif path in file:
                    origin = str(self._file)
                yield Origin(path, value, origin)

    def _model(self, section: Section, start: "DataclassInstance") -> type[SectionModel]:
        has_table = section.name in self._in_file
        return model_of(section, start, self._file if has_table else None)

    def _validated(self, section: Section, model: type[SectionModel]) -> SectionModel:
        make: Callable[..., SectionModel] = model
        try:
            return make(**_nested(self._options, section.name))
        except ValidationError as error:
            first = error.errors()[0]
            path = ".".join((section.name, *(str(part) for part in first["loc"])))
            raise self._refused(path, first["input"]) from error

    def _refused(self, path: str, value: object) -> SettingError:
        known = described()
        while path not in known and "." in path:
            path = path.rpartition(".")[0]  # of a tuple's part, the tuple
        what = f"{path} cannot be {shown_value(value)!r}"
        near = guess(nearest(str(value), known[path].choices))
        parts = (f"{self._setter(path)} sets it", expectation(known[path]), near)
        return SettingError(what, "; ".join(part for part in parts if part), f"{LIST} {path}")

    def _setter(self, path: str) -> str:
        if path in self._options:
            return "an option"
        if variable(path) in os.environ:
            return variable(path)
        return str(self._file)


def expectation(setting: Described) -> str:
    """What a setting must be, in words."""
    if setting.choices:
        return f"it must be one of {', '.join(setting.choices)}"
    if setting.is_flag:
        return "it must be yes or no"
    if setting.is_number:
        kind = "a whole number" if setting.metavar == "INT" else "a number"
        return f"it must be {kind}, {bounds_of(setting.path)}"
    return f"it must be {setting.metavar}"


def variable(path: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + path.replace(".", BETWEEN).upper()


def flat(tree: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Leaves of a tree of settings by path."""
    found: dict[str, object] = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        found |= flat(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return found


def _nested(options: Mapping[str, object], section: str) -> dict[str, object]:
    """Options of a section as a tree."""
    tree: dict[str, object] = {}
    for path, value in options.items():
        first, *groups, last = path.split(".")
        if first != section:
            continue
        here = tree
        for group in groups:
            below = here.setdefault(group, {})
            here = below if isinstance(below, dict) else {}
        here[last] = value
    return tree


def _by_option(given: Given) -> dict[str, object]:
    found: dict[str, object] = {}
    for each in given.sets:
        path, equals, value = each.partition("=")
        if not equals:
            raise SettingError(
                f"--set {each} has no value", "it needs NAME=VALUE", f"--set {each}=VALUE"
            )
        _check_known(path, "--set names it")
        found[path] = value
    return found | dict(given.options)


def _file_of_environment() -> Path | None:
    named = os.environ.get(CONFIG)
    return Path(named) if named else None


def _read(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        what = f"cannot read the settings in {file}"
        raise SettingError(what, str(error), f"give another file, or unset {CONFIG}") from error


def _check_environment() -> None:
    names = {variable(path): path for path in described()}
    for name in os.environ:
        if not name.startswith(PREFIX) or name.upper() in names:
            continue
        near = nearest(name, names, cutoff=RESEMBLES)
        if BETWEEN in name or near:  # anything else may be meant for something else
            near = near or nearest(name, names)
            raise _unknown(name, "the environment sets it", near, [names[n] for n in near])


def _check_known(path: str, by: str) -> None:
    known = described()
    if path not in known:
        near = nearest(path, known)
        raise _unknown(path, by, near, near)


def _unknown(name: str, by: str, near: list[str], paths: list[str]) -> SettingError:
    why = "; ".join(part for part in (by, guess(near)) if part)
    return SettingError(f"there is no setting {name}", why, " ".join((LIST, *paths[:1])))


def _section_of(kind: type[object]) -> Section:
    return next(s for s in SECTIONS.values() if (s.module, s.kind) == _name_of(kind))


def _name_of(kind: type[object]) -> tuple[str, str]:
    return kind.__module__, kind.__name__


def _as_dataclass(model: BaseModel, start: T) -> T:
    """The class's own instance with the values of a model; what is not plain stays."""
    changes: dict[str, object] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        below = getattr(start, name)
        changes[name] = _as_dataclass(value, below) if isinstance(value, BaseModel) else value
    return replace(start, **changes)
