"""`twintier recording`: what a core was given, shown and played back."""

from pathlib import Path
from typing import Annotated

import typer

from twintier.launch.cli.options import Output, is_json

recording = typer.Typer(
    help="Recordings of what a core was given, which --inbox makes.", no_args_is_help=True
)


Inbox = Annotated[Path, typer.Argument(help="A recording that --inbox has made.")]


@recording.command("show")
def show(
    inbox: Inbox,
    *,
    limit: Annotated[int, typer.Option(min=0, help="Print the first steps only; 0 all.")] = 0,
    output: Output = "table",
) -> None:
    """Print its steps: time, input and effects; also of a recording of another release."""
    as_json = is_json(output)
    from twintier.launch.inspect.recorded import run_show  # noqa: PLC0415

    raise typer.Exit(run_show(inbox, limit=limit, as_json=as_json))


@recording.command("replay")
def replay(
    inbox: Inbox,
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Run its jobs again too, and compare the results.")
    ] = False,
    output: Output = "table",
) -> None:
    """Give a recorded core its inputs again and say where it goes another way."""
    as_json = is_json(output)
    from twintier.launch.inspect.replay import run_replay  # noqa: PLC0415

    raise typer.Exit(run_replay(inbox, verify=verify, as_json=as_json))
