"""Answers as a table for people or as JSON for programs, on standard output."""

import json
import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from twintier.launch.exit_codes import ExitCode
from twintier.launch.problems import Problem, say
from twintier.launch.settings.errors import guess, nearest

Row = Mapping[str, object]
WIDE = 1000
"""Columns where no terminal cuts lines off."""


def console() -> Console:
    """Standard output: colours only on a terminal and without `NO_COLOR`, else lines uncut.

    An id such as `edge:edge-1` or `[x]` is text, neither emoji nor markup.
    """
    width = None if sys.stdout.isatty() else WIDE
    return Console(width=width, markup=False, emoji=False, highlight=False)


def print_rows(rows: Sequence[Row], columns: Sequence[str], *, as_json: bool) -> int:
    """Print rows; a table shows the columns that are named, JSON all.

    Returns:
        The exit code.
    """
    if as_json:
        print(json.dumps(rows, indent=2))
        return ExitCode.OK
    table = Table(*(column.replace("_", " ") for column in columns), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(as_text(row[column]) for column in columns))
    _print(table)
    return ExitCode.OK


def print_one(row: Row, *, as_json: bool) -> int:
    """Print one thing: a line for each of its values, values within values below their names.

    Returns:
        The exit code.
    """
    if as_json:
        print(json.dumps(row, indent=2))
        return ExitCode.OK
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in _lines(row):
        table.add_row(name.replace("_", " "), as_text(value))
    _print(table)
    return ExitCode.OK


def show_one(rows: Sequence[Row], kind: str, name: str, *, as_json: bool) -> int:
    """Print the row of a name, or say which names are near.

    Args:
        rows: each with a value `id`.
        kind: what they are, for the problem.
        name: of the one that is asked for.
        as_json: for programs.

    Returns:
        The exit code.
    """
    found = [row for row in rows if row["id"] == name]
    if found:
        return print_one(found[0], as_json=as_json)
    names = [str(row["id"]) for row in rows]
    near = nearest(name, names)
    why = guess(near) or f"{len(names)} are there, and none is near"
    following = f"twintier {kind} show {near[0]}" if near else f"twintier {kind} list"
    return say(Problem(f"no {kind} has the name {name}", why, following), ExitCode.UNKNOWN)


def _lines(row: Row, prefix: str = "") -> list[tuple[str, object]]:
    lines: list[tuple[str, object]] = []
    for name, value in row.items():
        if isinstance(value, Mapping):
            lines += _lines(value, f"{prefix}{name}.")
        else:
            lines.append((f"{prefix}{name}", value))
    return lines


def _print(table: Table) -> None:
    shown = console()
    if shown.is_terminal:
        shown.print(table)
        return
    with shown.capture() as captured:
        shown.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def literal(text: str) -> str:
    """Foreign text as one line that moves no cursor and sounds no bell."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def as_text(value: object) -> str:
    """A value in a cell; what is not known is empty."""
    match value:
        case None:
            return ""
        case float():
            return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
        case list() | tuple():
            return ", ".join(as_text(part) for part in value)
        case Mapping():
            return ", ".join(f"{name} {as_text(part)}" for name, part in value.items())
        case _:
            return literal(str(value))
