"""The asking verbs: `list` and `show` of what is on the bus, and of INMFs; `inmf check`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from twintier.launch.cli.configured import CONNECTION, configured
from twintier.launch.cli.options import (
    LISTEN_S,
    Output,
    Seconds,
    connection_of,
    is_json,
    quiet_logs,
)

if TYPE_CHECKING:
    from twintier.launch.inspect.asking import Asked
    from twintier.launch.inspect.output import Row
    from twintier.launch.inspect.projection import View
    from twintier.launch.settings.resolve import Settings


@dataclass(frozen=True, slots=True)
class Noun:
    """A kind of thing that the bus shows."""

    name: str
    help: str
    id: str
    """What its id is, for help."""
    columns: Sequence[str]
    """Of the table; JSON has more."""

    def rows(self, view: "View") -> "list[Row]":
        """All that were heard of."""
        from twintier.launch.inspect import rows  # noqa: PLC0415

        made: Callable[[View], list[Row]] = getattr(rows, f"{self.name}_rows")
        return made(view)


NOUNS = (
    Noun(
        "plvn",
        "Physical local vehicular networks that are heard on the bus.",
        "Id of the PLVN.",
        ("id", "edge_server", "category", "vehicles", "rewards"),
    ),
    Noun(
        "twin",
        "Edge twins: what acts on their PLVN, and which model they have.",
        "Id of the twin, which is that of its PLVN.",
        ("id", "edge_server", "category", "acts", "inmf", "state", "from", "reward"),
    ),
    Noun(
        "model",
        "Meta models of the cloud twin's library, one for each category.",
        "INMF/CATEGORY; the super category is called super.",
        ("id", "version", "iterations", "adaptation_reward_last", "twins"),
    ),
    Noun(
        "edge",
        "Edge servers, their places and their twins.",
        "Id of the edge server.",
        ("id", "state", "lat_deg", "lon_deg", "capacity", "twins"),
    ),
)


def group_of(noun: Noun) -> typer.Typer:
    """The group of commands of a noun."""
    group = typer.Typer(help=noun.help, no_args_is_help=True)

    def list_them(
        settings: "Settings", *, seconds: Seconds = LISTEN_S, output: Output = "table"
    ) -> int:
        from twintier.launch.inspect.asking import run_asking  # noqa: PLC0415
        from twintier.launch.inspect.output import print_rows  # noqa: PLC0415

        as_json = is_json(output)
        return run_asking(
            _asked(settings, seconds),
            lambda view: print_rows(noun.rows(view), noun.columns, as_json=as_json),
        )

    def show_one(
        settings: "Settings",
        name: Annotated[str, typer.Argument(metavar="ID", help=noun.id)],
        *,
        seconds: Seconds = LISTEN_S,
        output: Output = "table",
    ) -> int:
        from twintier.launch.inspect import output as shown  # noqa: PLC0415
        from twintier.launch.inspect.asking import run_asking  # noqa: PLC0415

        as_json = is_json(output)
        return run_asking(
            _asked(settings, seconds),
            lambda view: shown.show_one(noun.rows(view), noun.name, name, as_json=as_json),
        )

    group.command("list", help="List all that are heard within a moment.")(
        configured(*CONNECTION)(list_them)
    )
    group.command("show", help="Show one with all that is known of it.")(
        configured(*CONNECTION)(show_one)
    )
    return group


def _asked(settings: "Settings", seconds: float) -> "Asked":
    from twintier.launch.inspect.asking import Asked  # noqa: PLC0415

    quiet_logs()
    connection, root = connection_of(settings)
    return Asked(connection, root, seconds)


inmf = typer.Typer(help="Network management functions that are installed.", no_args_is_help=True)


@inmf.command("list")
def inmf_list(*, output: Output = "table") -> None:
    """List the INMFs that are installed."""
    from twintier.launch.inspect.output import print_rows  # noqa: PLC0415
    from twintier.launch.inspect.rows import inmf_rows  # noqa: PLC0415

    columns = ("id", "package", "version", "loop", "bound", "problem")
    raise typer.Exit(print_rows(inmf_rows(), columns, as_json=is_json(output)))


@inmf.command("show")
def inmf_show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the INMF.")],
    *,
    output: Output = "table",
) -> None:
    """Show one with the package that it comes from."""
    from twintier.launch.inspect.output import show_one  # noqa: PLC0415
    from twintier.launch.inspect.rows import inmf_rows  # noqa: PLC0415

    raise typer.Exit(show_one(inmf_rows(), "inmf", name, as_json=is_json(output)))


@inmf.command("check")
def inmf_check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the INMF.")],
    *,
    output: Output = "table",
) -> None:
    """Hold one to the contract of INMFs; every check is printed with what it found."""
    from twintier.launch.inspect.checking import check_inmf  # noqa: PLC0415

    raise typer.Exit(check_inmf(name, as_json=is_json(output)))
