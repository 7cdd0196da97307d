"""Where a run is shown: a table that is drawn again on a terminal, plain lines elsewhere.

A screen that cannot be written to any more costs the screen, not the run.
"""

import contextlib
from collections.abc import Iterator
from typing import Protocol

from rich.console import Console
from rich.live import Live

from twintier.launch.demo.lines import Lines
from twintier.launch.demo.table import render
from twintier.launch.demo.words import Progress
from twintier.launch.inspect.projection import View


class Screen(Protocol):
    """Shows a run."""

    def show(self, view: View, progress: Progress) -> None:
        """Show how it stands."""
        ...


def stderr_console() -> Console:
    """Standard error; text is neither markup nor emoji, and without colours under `NO_COLOR`."""
    return Console(stderr=True, markup=False, emoji=False, highlight=False)


@contextlib.contextmanager
def screen_on(console: Console) -> Iterator[Screen]:
    """A table if the console is a terminal that can move its cursor, else lines."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield _Printed(console)
        return
    with Live(console=console, auto_refresh=False, transient=False) as live:
        yield _Drawn(console, live)


class _Drawn:
    def __init__(self, console: Console, live: Live) -> None:
        self._console, self._live = console, live

    def show(self, view: View, progress: Progress) -> None:
        width, height = self._console.size
        with contextlib.suppress(OSError):
            self._live.update(render(view, progress, width, height), refresh=True)


class _Printed:
    def __init__(self, console: Console) -> None:
        self._console, self._lines = console, Lines()

    def show(self, view: View, progress: Progress) -> None:
        with contextlib.suppress(OSError):
            for line in self._lines.following(view, progress):
                print(line, file=self._console.file, flush=True)
