"""A pydantic-settings model of each section, built from the section's own class.

Fields and defaults are those of an instance of the class, bounds those of the table; what was set
by option comes before the environment, and that before the file.
"""

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from twintier.launch.settings.tree import COMPUTED, SECTIONS, Section, bounds_of, choices_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PREFIX = "TWINTIER_"
BETWEEN = "__"
"""Between section and name in the environment."""
PLAIN = (bool, int, float, str, Path)


def start_of(section: Section) -> "DataclassInstance":
    """The section as it is before anybody sets anything."""
    kind = getattr(importlib.import_module(section.module), section.kind)
    start: DataclassInstance = kind(**section.defaults)
    return start


def defaults() -> dict[str, object]:
    """Every setting as it is before anybody sets it, by path."""
    found: dict[str, object] = {}
    for section in SECTIONS.values():
        found |= _leaves(start_of(section), section.name)
    return found


def _leaves(start: "DataclassInstance", prefix: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for each in fields(start):
        path, value = f"{prefix}.{each.name}", getattr(start, each.name)
        if is_dataclass(value) and not isinstance(value, type):
            found |= _leaves(value, path)
        else:
            found[path] = value
    return found


class _Group(BaseModel):
    """Settings within a section."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _split(cls, given: Mapping[str, object]) -> dict[str, object]:
        return _split_tuples(given, cls.model_fields)


class SectionModel(BaseSettings):
    """One section: from options, then the environment, then the file."""

    @model_validator(mode="before")
    @classmethod
    def _split(cls, given: Mapping[str, object]) -> dict[str, object]:
        return _split_tuples(given, cls.model_fields)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The three sources, first come first served; neither `.env` nor secret folders."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def from_environment(model: type[SectionModel]) -> Mapping[str, object]:
    """What the environment sets of a section."""
    return EnvSettingsSource(model)()


def from_file(model: type[SectionModel]) -> Mapping[str, object]:
    """What the file sets of a section."""
    return TomlConfigSettingsSource(model)()


def model_of(section: Section, start: "DataclassInstance", file: Path | None) -> type[SectionModel]:
    """The model of a section.

    Args:
        section: from the table.
        start: where it starts.
        file: that has a table for this section, if there is one.
    """

    class Configured(SectionModel):
        model_config = SettingsConfigDict(
            extra="forbid",
            env_prefix=f"{PREFIX}{section.name.upper()}{BETWEEN}",
            env_nested_delimiter=BETWEEN,
            env_ignore_empty=True,
            enable_decoding=False,  # lists are words with commas, not JSON
            toml_file=file,
            toml_table_header=(section.name,),
        )

    make: Callable[..., type[SectionModel]] = create_model
    return make(section.kind, __base__=Configured, **_fields_of(start, section.name))


def _fields_of(start: "DataclassInstance", prefix: str) -> dict[str, tuple[object, object]]:
    make: Callable[..., type[_Group]] = create_model
    hints = get_type_hints(type(start))
    found: dict[str, tuple[object, object]] = {}
    for each in fields(start):
        path, hint, value = f"{prefix}.{each.name}", hints[each.name], getattr(start, each.name)
        if path in COMPUTED:
            continue
        if is_dataclass(value) and not isinstance(value, type):
            group = make(type(value).__name__, __base__=_Group, **_fields_of(value, path))
            found[each.name] = group, Field(default_factory=group)
        elif _is_plain(hint):
            found[each.name] = _several(path, hint), _field(path, hint, value)
    return found


def _field(path: str, hint: object, value: object) -> object:
    if choices := choices_of(path):
        if get_origin(hint) is tuple:
            return Field(default=value, min_length=1)
        return Field(default=value, pattern=_one_of(choices))
    if {int, float} & set(_alternatives(hint)):
        bounds = bounds_of(path)
        return Field(
            default=value,
            ge=bounds.least,
            le=bounds.greatest,
            allow_inf_nan=None if int in _alternatives(hint) else False,
        )
    return Field(default=value)


def _several(path: str, hint: object) -> object:
    """The type of a setting; where it names what is installed, each name is one of those, once."""
    choices = choices_of(path)
    if not choices or get_origin(hint) is not tuple:
        return hint
    word = Annotated[str, Field(pattern=_one_of(choices))]
    return Annotated[tuple[word, ...], AfterValidator(_once)]


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _one_of(choices: Sequence[str]) -> str:
    words = "|".join(re.escape(word) for word in choices)
    return f"^({words})$"


def _alternatives(hint: object) -> tuple[object, ...]:
    return get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)


def _is_plain(hint: object) -> bool:
    return all(
        part in {*PLAIN, type(None)} or get_origin(part) in {Literal, tuple}
        for part in _alternatives(hint)
    )


def _split_tuples(given: Mapping[str, object], known: Mapping[str, FieldInfo]) -> dict[str, object]:
    """Words with commas between them, where several values are asked for."""
    return {
        name: [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, str) and name in known and get_origin(known[name].annotation) is tuple
        else value
        for name, value in given.items()
    }
