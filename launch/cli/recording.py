"""`twintier recording`: what a core was given, played back."""

from pathlib import Path
from typing import Annotated

import typer

from twintier.launch.cli.options import Output, is_json

recording = typer.Typer(
    help="Recordings of what a core was given, which --inbox makes.", no_args_is_help=True
)


@recording.callback()
def _recording() -> None:
    """Keep `replay` a command of its own, also while it is the only one."""


@recording.command("replay")
def replay(
    inbox: Annotated[Path, typer.Argument(help="A recording that --inbox has made.")],
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
