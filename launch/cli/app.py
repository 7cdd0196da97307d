"""The command line. Each command imports what it needs when it runs, so that help is quick."""

import os
import sys

import typer

from twintier.launch.cli import old
from twintier.launch.cli.asking import NOUNS, group_of, inmf
from twintier.launch.cli.bus import bus
from twintier.launch.cli.case_study import case_study
from twintier.launch.cli.certs import certs
from twintier.launch.cli.config import config
from twintier.launch.cli.demo import demo
from twintier.launch.cli.exit_code import exit_code, help_topic
from twintier.launch.cli.recording import recording
from twintier.launch.cli.root import Root
from twintier.launch.cli.schema import schema
from twintier.launch.cli.up import up
from twintier.launch.cli.watching import doctor, status, watch
from twintier.launch.exit_codes import ExitCode
from twintier.launch.problems import say, say_missing
from twintier.launch.signals import interrupt_at_signals
from twintier.launch.streams import OutputError, guard_streams
from twintier.runtime.one_thread import use_one_thread

use_one_thread()

app = typer.Typer(
    name="twintier",
    cls=Root,
    help="Two tiers of digital twins that manage vehicular networks over a message bus.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # drawing help with rich takes longer than everything else in it
)
app.command()(demo)
app.add_typer(up, name="up")
app.command()(status)
app.command()(watch)
for noun in NOUNS:
    app.add_typer(group_of(noun), name=noun.name)
app.add_typer(inmf, name="inmf")
app.add_typer(bus, name="bus")
app.add_typer(recording, name="recording")
app.command()(doctor)
app.add_typer(config, name="config")
app.add_typer(certs, name="certs")
app.add_typer(schema, name="schema")
app.command("case-study")(case_study)
app.command("exit-code")(exit_code)
app.command("help")(help_topic)
app.command(hidden=True)(old.replay)


def main() -> None:
    """The entry point of `twintier`.

    What must be kept is on disk by then, so the interpreter is not taken down part by part, which
    takes longer than all the rest of an end.
    """
    guard_streams()
    interrupt_at_signals()
    try:
        app()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except ModuleNotFoundError as error:
        code = say_missing(error)
    except OutputError as error:
        code = say(error, ExitCode.FAILED)
    else:
        return
    os._exit(_told(code))


def _told(code: int) -> int:
    """The exit code, once what was printed is with whoever reads it."""
    try:
        sys.stdout.flush()
    except (OutputError, BrokenPipeError) as error:
        return code or say(error, ExitCode.FAILED)
    finally:
        sys.stderr.flush()
    return code
