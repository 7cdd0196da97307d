"""`docs/cli.md` and `docs/exit-codes`, written from the commands, the settings and the exit codes.

`python -m twintier.launch.cli.document docs` writes them anew; a test holds them to the code.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import typer.main
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from twintier.launch.cli.app import app
from twintier.launch.exit_codes import ExitCode, page_text
from twintier.launch.settings.described import described, shown_value
from twintier.launch.settings.model import defaults
from twintier.launch.settings.tree import bounds_of, unit_of

EVERYWHERE = {"--config", "--set"}
"""Options that are told of once."""
BEGINNING = """\
# Command line

Written by `python -m twintier.launch.cli.document docs`; do not edit.

Data goes to standard output, progress and problems to standard error. A problem has three lines:
what, why, and what to do next. Colours need a terminal and no `NO_COLOR`. Every asking verb takes
`-o table|json`. How a command ends: [exit codes](exit-codes/00.md).
"""
SETTINGS = """\
## Settings

Every setting can be set in a file, in the environment and by option; the later goes before the
earlier.

```toml
# deployment.toml, given with --config or named by TWINTIER_CONFIG
[cloud]
n_min = 10
[edge.adaptation]
updates = 12
```

```sh
export TWINTIER_CLOUD__N_MIN=10                   # two underscores between the parts of a name
twintier up cloud --n-min 10                      # some settings have an option of their own
twintier up cloud --set cloud.checkpoint_iterations=5    # all others are reached with --set
twintier config show --origin                     # what is set, and who set it
```

A name that does not exist is refused with the nearest ones. Commands that read settings take
`--config FILE` and `--set NAME=VALUE`, which are not repeated below.
"""


def commands(group: TyperGroup, path: str) -> Iterator[tuple[str, TyperCommand]]:
    """Every command of a group that is not hidden, with the words that name it."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{path} {name}")
        elif isinstance(command, TyperCommand) and not command.hidden:
            yield f"{path} {name}", command


def page() -> str:
    """The page of the command line, in Markdown."""
    parts = [BEGINNING, SETTINGS]
    found = commands(typer.main.get_group(app), "twintier")
    parts += [_command(path, command) for path, command in found]
    parts += ["## All settings", "", "| setting | default | unit, bounds | meaning |"]
    parts += ["|---|---|---|---|"]
    starts = defaults()
    for path, setting in described().items():
        facts = [unit_of(path), str(bounds_of(path)) if setting.is_number else ""]
        facts += [", ".join(setting.choices)]
        bounds = ", ".join(fact for fact in facts if fact)
        parts.append(f"| `{path}` | {shown_value(starts[path])} | {bounds} | {setting.meaning} |")
    return "\n".join(parts) + "\n"


def _command(path: str, command: TyperCommand) -> str:
    lines = [f"## `{path}`", "", (command.help or "").strip(), ""]
    rows = [_row(each) for each in command.params if not EVERYWHERE & set(each.opts)]
    if rows:
        lines += ["| argument or option | meaning |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def _row(parameter: object) -> str:
    match parameter:
        case TyperArgument():
            return f"| `{parameter.metavar or parameter.name}` | {parameter.help or ''} |"
        case TyperOption():
            names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
            value = "" if parameter.is_flag else f" {parameter.metavar or ''}".rstrip()
            shown = f"{names}{value}".replace("|", "\\|")
            return f"| {shown} | {parameter.help or ''} |"
        case _:
            return ""


def write(docs: Path) -> None:
    """Write all of it into the folder of the documents."""
    (docs / "cli.md").write_text(page(), encoding="utf-8")
    folder = docs / "exit-codes"
    folder.mkdir(exist_ok=True)
    for code in ExitCode:
        (folder / f"{code.value:02}.md").write_text(page_text(code), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
