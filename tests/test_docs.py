"""The words of the project are held to the code: commands, links, modules, dependencies."""

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperCommand, TyperGroup

from twintier.launch.cli import document
from twintier.launch.cli.app import app
from twintier.launch.exit_codes import ExitCode, page_text

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
REPOSITORY_PATH = re.compile(r"`((?:[a-z_]+/)+[a-z0-9_]+\.py)`")


def command_lines(page: Path) -> Iterator[list[str]]:
    """Words after `twintier` of each command line shown; `a|b` stands for each of both."""
    for block, inline in CODE.findall(page.read_text(encoding="utf-8")):
        for line in (block or inline).splitlines():
            if made := re.match(r'make demo(?: ARGS="(.*?)")?\s*(?:#|$)', line):
                yield ["demo", *shlex.split(made[1] or "")]
            elif line.startswith("twintier ") and not line.startswith("twintier/"):
                words = shlex.split(line, comments=True)[1:]
                yield from _alternatives(words)


def _alternatives(words: list[str]) -> Iterator[list[str]]:
    several = [word for word in words[:2] if "|" in word]
    if not several:
        yield words
        return
    place = words.index(several[0])
    for choice in several[0].split("|"):
        yield from _alternatives([*words[:place], choice, *words[place + 1 :]])


@cache
def commands() -> dict[str, TyperCommand]:
    """Every command under the words that name it."""
    top = typer.main.get_group(app)
    found: dict[str, TyperCommand] = {}
    for name, command in top.commands.items():
        below = command.commands if isinstance(command, TyperGroup) else {"": command}
        for last, leaf in below.items():
            assert isinstance(leaf, TyperCommand)
            found[f"{name} {last}".strip()] = leaf
    return found


def named(words: list[str]) -> str:
    """The command that words name."""
    two = " ".join(words[:2])
    return two if two in commands() else words[0]


def parse(words: list[str]) -> None:
    """Parse a command line without running it."""
    name = named(words)
    rest = words[len(name.split()) :]
    if rest != ["--help"]:
        commands()[name].make_context(name, rest)


COMMANDS = [
    pytest.param(words, id=f"{page.name}: {' '.join(words)}")
    for page in PAGES
    for words in command_lines(page)
]


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_line_of_the_docs_is_understood(words: list[str]) -> None:
    assert named(words) in commands()
    if len(words) > len(named(words).split()):  # else it is only named
        parse(words)


def test_every_command_stands_in_the_readme() -> None:
    shown = {name for name, command in commands().items() if not command.hidden}
    assert {named(words) for words in command_lines(ROOT / "README.md")} == shown


def test_an_unknown_option_would_be_noticed() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(["up", "cloud", "--rsus", "3"])


def test_the_page_of_the_command_line_is_that_of_the_code() -> None:
    assert (ROOT / "docs/cli.md").read_text(encoding="utf-8") == document.page()


def test_every_exit_code_has_its_page_and_no_page_is_left_over() -> None:
    pages = {path.name: path.read_text(encoding="utf-8") for path in ROOT.glob("docs/exit-codes/*")}
    assert pages == {f"{code.value:02}.md": page_text(code) for code in ExitCode}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    targets = [t.partition("#")[0] for t in LINK.findall(page.read_text(encoding="utf-8"))]
    local = [t for t in targets if t and "://" not in t]
    assert [t for t in local if not (page.parent / t).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_and_tests_that_are_named_exist(page: Path) -> None:
    paths = REPOSITORY_PATH.findall(page.read_text(encoding="utf-8"))
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_paper_map_has_a_row_for_each_statement_with_a_test_or_a_reason() -> None:
    text = (ROOT / "docs/paper-map.md").read_text(encoding="utf-8")
    rows = [re.split(r"\s*\|\s*", line)[1:-1] for line in text.splitlines() if "| R" in line]
    expected = {*(f"R{n}" for n in range(1, 40)), "R7b", "R14b"}
    assert {row[0] for row in rows} == expected
    assert len(rows) == len(expected)
    for number, _, _, test, state in rows:
        assert re.search(r"tests/[\w/]+/test_\w+\.py", test) or state.startswith("not done"), number


def test_every_dependency_has_its_line_and_no_line_is_left_over() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        listed += extra
    declared = {re.split(r"[<>=~!\[; ]", entry)[0] for entry in listed}
    text = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)) == declared


def test_the_case_study_s_figures_are_those_of_its_summary() -> None:
    summary = json.loads((ROOT / "docs/case-study/summary.json").read_text(encoding="utf-8"))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (PPO-\w+) \| (-?[\d.]+) \| (-?[\d.]+) \+- ([\d.]+) \|$", text, re.MULTILINE
    )
    arms = ["PPO-ML", "PPO-multitask", "PPO-TL", "PPO-random"]
    expected = []
    for arm in arms:
        seen, final = summary["arms"][arm], summary["arms"][arm]["reward_final"]
        numbers = (seen["reward_epoch0"], final["mean"], final["ci95"])
        expected.append((arm, *(f"{number:.1f}" for number in numbers)))
    assert rows == expected
