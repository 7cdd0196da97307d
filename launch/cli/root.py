"""The root of all commands: how what cannot be understood is said."""

import os
import sys
from collections.abc import Callable, Sequence

import typer
from typer.core import TyperGroup

from twintier.launch.exit_codes import ExitCode
from twintier.launch.problems import Problem, say

HELP = "--help"


class Root(TyperGroup):
    """Says problems of a command line as all others are said: what, why, what next."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002  # the base class's
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002  # the base class's
        **extra: object,
    ) -> object:
        """Run a command line; ends the process with its exit code, unless told otherwise."""
        words = list(sys.argv[1:] if args is None else args)
        if HELP in words:
            _print(help_of(self, words[: words.index(HELP)], prog_name or self.name or ""))
            sys.exit(ExitCode.OK)
        run: Callable[..., int | None] = super().main
        rest = (prog_name, complete_var, False, windows_expand_args)
        if not standalone_mode:
            return run(words, *rest, **extra)
        try:
            code = run(words, *rest, **extra)
        except typer.TyperException as error:
            code = _say_usage(error)
        except typer.Abort:
            code = ExitCode.FAILED
        sys.exit(code or 0)


def help_of(root: TyperGroup, words: Sequence[str], program: str) -> str:
    """The help of the command that words begin with.

    Typer would load pydantic to check the options of every group on the way.
    """
    group, path = root, [program]
    for word in words:
        below = group.commands.get(word)
        if below is None:
            break
        path.append(word)
        if not isinstance(below, TyperGroup):
            return below.get_help(typer.Context(below, info_name=" ".join(path)))
        group = below
    return group.get_help(typer.Context(group, info_name=" ".join(path)))


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:  # whoever reads has had enough, and the end would flush again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say_usage(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    if context is None:
        return say(error, ExitCode.USAGE)
    if error.message.startswith("Usage:"):  # a group without a command
        print(error.message, file=sys.stderr)
        return ExitCode.USAGE
    why = " ".join(context.get_usage().split()).removeprefix("Usage: ")
    what = error.format_message().strip().rstrip(".")
    return say(
        Problem(what, f"it is written {why}", f"{context.command_path} --help"), ExitCode.USAGE
    )
