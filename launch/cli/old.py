"""Commands of the release before under their old names; hidden, and gone with the next one."""

from pathlib import Path
from typing import Annotated

import typer

from twintier.launch.cli import recording
from twintier.launch.cli.deprecated import deprecated
from twintier.launch.cli.options import Output


def replay(
    inbox: Annotated[Path, typer.Argument(help="A recording that --inbox has made.")],
    *,
    verify: Annotated[bool, typer.Option("--verify")] = False,
    output: Output = "table",
) -> None:
    """Give a recorded core its inputs again: now `twintier recording replay`."""
    deprecated("twintier replay", "twintier recording replay")
    recording.replay(inbox, verify=verify, output=output)
