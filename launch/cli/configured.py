"""Options of a command that are settings: help, default, bounds and unit are the setting's own.

A command names the settings that deserve an option; `--set` reaches all others.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twintier.launch.exit_codes import ExitCode
from twintier.launch.problems import Problem, say
from twintier.launch.settings.described import Described, described
from twintier.launch.settings.errors import SettingError, UnknownSettingError

if TYPE_CHECKING:
    from twintier.launch.settings.resolve import Given

Command = Callable[..., int]
"""Takes `Settings` and the command's own parameters, and returns an exit code."""
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings, as TOML; else TWINTIER_CONFIG."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any setting of `twintier config show`."),
]


@dataclass(frozen=True, slots=True)
class Option:
    """An option and the settings that it sets."""

    spelling: str
    paths: tuple[str, ...]

    @property
    def parameter(self) -> str:
        """Its name in the signature that typer reads."""
        return self.paths[0].replace(".", "_")


def option(*paths: str, spelled: str = "") -> Option:
    """An option of one setting, or of several that are usually the same.

    Args:
        paths: the settings; help is that of the first.
        spelled: with its dashes; else the name of the first setting.
    """
    name = paths[0].rpartition(".")[2].replace("_", "-")
    return Option(spelled or f"--{name}", paths)


CONNECTION = tuple(option(f"connection.{name}") for name in ("url", "root", "certs", "identity"))
"""Options of every command that only listens."""


def configured(*options: Option) -> Callable[[Command], Callable[..., None]]:
    """Make a typer command of a function that takes `Settings` first."""

    def around(command: Command) -> Callable[..., None]:
        def run(**values: object) -> None:
            raise typer.Exit(_run(command, options, values))

        own = list(inspect.signature(command).parameters.values())[1:]
        parameters = [*own, *_parameters(options)]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        setattr(run, "__signature__", inspect.Signature(parameters))  # noqa: B010  # mypy knows none
        return run

    return around


def _run(command: Command, options: tuple[Option, ...], values: dict[str, object]) -> int:
    from twintier.launch.settings.resolve import Settings  # noqa: PLC0415

    try:
        return command(Settings(_given(options, values)), **values)
    except SettingError as error:
        code = ExitCode.UNKNOWN if isinstance(error, UnknownSettingError) else ExitCode.USAGE
        return say(Problem(error.what, error.why, error.following), code)


def _given(options: tuple[Option, ...], values: dict[str, object]) -> "Given":
    """Take the settings out of the values of a command line."""
    from twintier.launch.settings.resolve import Given  # noqa: PLC0415

    config, sets = values.pop("config"), values.pop("sets")
    chosen: dict[str, str | bool] = {}
    for each in options:
        value = values.pop(each.parameter)
        if value is not None:
            said = ",".join(value) if isinstance(value, list) else value
            chosen |= dict.fromkeys(each.paths, said if isinstance(said, bool) else str(said))
    return Given(
        chosen,
        config if isinstance(config, Path) else None,
        tuple(sets) if isinstance(sets, list) else (),
    )


def _parameters(options: tuple[Option, ...]) -> Iterator[inspect.Parameter]:
    known = described(nested=False)
    for each in options:
        yield _parameter(each.parameter, _annotation(each, known[each.paths[0]]))
    yield _parameter("config", ConfigOption)
    yield _parameter("sets", SetOption)


def _parameter(name: str, annotation: object) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def _annotation(each: Option, setting: Described) -> object:
    others = each.paths[1:]
    help_text = f"{setting.help} Sets {' and '.join(others)} too." if others else setting.help
    if setting.is_flag:
        spelling = f"{each.spelling}/--no-{each.spelling.removeprefix('--')}"
        return Annotated[bool | None, typer.Option(spelling, help=help_text)]
    shown = typer.Option(each.spelling, metavar=setting.metavar, help=help_text)
    if setting.annotation.startswith("tuple["):
        return Annotated[list[str] | None, shown]
    return Annotated[str | None, shown]
