"""Help, and what is said where a command line cannot be understood."""

import subprocess
import sys

import pytest
import typer.main
from typer.testing import CliRunner

from twintier.launch.cli.app import app
from twintier.launch.cli.document import commands
from twintier.launch.cli.root import help_of

HEAVY = ("aiomqtt", "numpy", "paho", "pydantic", "pydantic_settings", "rich", "sqlalchemy", "torch")
EVERY_HELP = f"""
import sys
import typer.main
from twintier.launch.cli.app import app
from twintier.launch.cli.root import help_of
root = typer.main.get_group(app)
pages = [help_of(root, [], "twintier")]
for name, group in root.commands.items():
    pages.append(help_of(root, [name], "twintier"))
    for below in getattr(group, "commands", ()):
        pages.append(help_of(root, [name, below], "twintier"))
print(len(pages), sorted(set({HEAVY!r}) & sys.modules.keys()))
"""


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments), prog_name="twintier")
    return result.exit_code, result.stdout, result.stderr


def test_no_help_loads_anything_heavy() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", EVERY_HELP], capture_output=True, text=True, check=True
    )
    pages, _, loaded = shown.stdout.strip().partition(" ")
    assert int(pages) > len(list(commands(typer.main.get_group(app), "twintier")))
    assert loaded == "[]"


def test_help_is_that_of_the_command_that_the_words_name() -> None:
    code, shown, _ = run("up", "edge", "--lat", "x", "--help")
    assert (code, shown.splitlines()[0]) == (0, "Usage: twintier up edge [OPTIONS] {ID}")
    named = help_of(typer.main.get_group(app), ["up", "edge"], "twintier")
    assert shown.split() == named.split()  # a runner without a terminal has lines of its own width


def test_an_option_of_a_setting_says_path_unit_bounds_and_default() -> None:
    said = " ".join(run("up", "edge", "--help")[1].split())
    expected = "[edge.lat_deg; degrees; -90 to 90; default 0]"
    assert f"Latitude at which the edge server stands. {expected}" in said


@pytest.mark.parametrize(
    ("words", "what", "following"),
    [
        (["plvm"], "No such command 'plvm'. Did you mean 'plvn'?", "twintier --help"),
        (["up", "claud"], "No such command 'claud'. Did you mean 'cloud'?", "twintier up --help"),
        (["watch", "--cont", "1"], "No such option: --cont", "twintier watch --help"),
        (
            ["watch", "-o", "yaml"],
            "Invalid value: output 'yaml' is neither table nor json",
            "twintier watch --help",
        ),
    ],
)
def test_a_mistake_is_said_in_three_lines(words: list[str], what: str, following: str) -> None:
    code, out, err = run(*words)
    first, why, after = err.splitlines()
    assert (code, out) == (2, "")
    assert first.startswith(f"twintier: {what.rstrip('.')}")
    assert why.startswith("  why: it is written twintier")
    assert after == f"  next: {following}"


def test_a_group_without_a_command_shows_its_help() -> None:
    code, out, err = run("up")
    assert (code, out) == (2, "")
    assert err == help_of(typer.main.get_group(app), ["up"], "twintier") + "\n"


def test_old_spellings_work_and_name_the_new_ones() -> None:
    code, _, err = run("replay", "none", "-o", "text")
    assert code == 2
    said = err.splitlines()
    assert said[:2] == [
        "twintier: `twintier replay` is deprecated; write `twintier recording replay`",
        "twintier: `-o text` is deprecated; write `-o table`",
    ]
    assert "none" in said[2]
