"""`twintier exit-code` and `twintier help`: what an exit code means."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from twintier.launch.cli.options import Output, is_json
from twintier.launch.exit_codes import PAGES, ExitCode, page_text

TOPICS = ("exit-codes",)


def exit_code(
    number: Annotated[
        int | None, typer.Argument(metavar="N", help="The code; all if none.", show_default=False)
    ] = None,
    *,
    output: Output = "table",
) -> None:
    """Say what an exit code means and what to do about it."""
    as_json = is_json(output)
    if number is not None and number not in set(ExitCode):
        raise typer.BadParameter(f"{number} is no exit code of ours; they go to {max(ExitCode)}")
    if as_json:
        rows = [{"id": code.value, **asdict(page)} for code, page in PAGES.items()]
        print(
            json.dumps(
                rows if number is None else next(row for row in rows if row["id"] == number),
                indent=2,
            )
        )
        return
    if number is None:
        for code, page in PAGES.items():
            print(f"{code.value:>3}  {page.meaning}")
        return
    print(page_text(ExitCode(number)), end="")


def help_topic(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="exit-codes.")],
) -> None:
    """Explain something that belongs to no single command."""
    if topic not in TOPICS:
        raise typer.BadParameter(f"{topic!r} is no topic; there is {', '.join(TOPICS)}")
    exit_code(None, output="table")
