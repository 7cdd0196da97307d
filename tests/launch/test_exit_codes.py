"""Exit codes: their numbers stay, and each is explained."""

import pytest
from typer.testing import CliRunner

from twintier.launch.cli.app import app
from twintier.launch.exit_codes import PAGES, ExitCode, page_text
from twintier.launch.problems import Problem, say

NUMBERS = {
    "OK": 0,
    "FAILED": 1,
    "USAGE": 2,
    "NO_BROKER": 3,
    "SOURCE": 4,
    "CHILD_DIED": 5,
    "PLANNING": 6,
    "NOT_ADAPTED": 7,
    "TAKEN_OVER": 8,
    "STORE": 9,
    "CERTIFICATE": 10,
    "DIFFERENT": 11,
    "UNHEALTHY": 12,
    "UNKNOWN": 13,
    "OTHER_RELEASE": 14,
    "CONTRACT": 15,
    "NOT_SAVED": 16,
}
"""Never change a line; a code that goes leaves its number unused."""


def test_a_number_once_given_keeps_its_meaning() -> None:
    assert {code.name: code.value for code in ExitCode} == NUMBERS
    assert set(PAGES) == set(ExitCode)


def test_a_code_is_explained_with_causes_and_what_to_do() -> None:
    shown = CliRunner().invoke(app, ["exit-code", "3"])
    assert (shown.exit_code, shown.stdout) == (0, page_text(ExitCode.NO_BROKER))
    assert shown.stdout.startswith("# Exit code 3: no broker\n\nNo broker could be started")
    unknown = CliRunner().invoke(app, ["exit-code", "99"])
    assert (unknown.exit_code, "they go to 16" in unknown.stderr) == (2, True)


@pytest.mark.parametrize("words", [["exit-code"], ["help", "exit-codes"]])
def test_all_codes_are_listed(words: list[str]) -> None:
    lines = CliRunner().invoke(app, words).stdout.splitlines()
    assert [int(line.split()[0]) for line in lines] == list(NUMBERS.values())
    assert lines[10] == " 10  A certificate has ended, or ends within seven days."


def test_a_problem_is_said_as_what_why_and_what_next(capsys: pytest.CaptureFixture[str]) -> None:
    assert say(Problem("a", "b", "c"), ExitCode.STORE) == 9
    assert capsys.readouterr().err == "twintier: a\n  why: b\n  next: c\n"


def test_the_end_of_a_message_is_what_to_do_next(capsys: pytest.CaptureFixture[str]) -> None:
    say(OSError("x is full; empty it"), ExitCode.FAILED)
    say("x is full", ExitCode.FAILED)
    say("x failed; it said:\nno", ExitCode.FAILED)
    why = "  why: Something unforeseen happened. (exit code 1)\n"
    assert capsys.readouterr().err == (
        f"twintier: x is full\n{why}  next: empty it\n"
        f"twintier: x is full\n{why}  next: twintier exit-code 1\n"
        f"twintier: x failed; it said:\nno\n{why}  next: twintier exit-code 1\n"
    )
