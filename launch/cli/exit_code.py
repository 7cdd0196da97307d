"""`twintier exit-code` and `twintier help`: what an exit code means."""

from typing import Annotated

import typer

from twintier.launch.exit_codes import PAGES, ExitCode, page_text

TOPICS = ("exit-codes",)


def exit_code(
    number: Annotated[
        int | None, typer.Argument(metavar="N", help="The code; all if none.", show_default=False)
    ] = None,
) -> None:
    """Say what an exit code means and what to do about it."""
    if number is None:
        for code, page in PAGES.items():
            print(f"{code.value:>3}  {page.meaning}")
        return
    if number not in set(ExitCode):
        raise typer.BadParameter(f"{number} is no exit code of ours; they go to {max(ExitCode)}")
    print(page_text(ExitCode(number)), end="")


def help_topic(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="exit-codes.")],
) -> None:
    """Explain something that belongs to no single command."""
    if topic not in TOPICS:
        raise typer.BadParameter(f"{topic!r} is no topic; there is {', '.join(TOPICS)}")
    exit_code(None)
