"""Every INMF that this project registers keeps the contract; plug-ins run the same checks."""

import tomllib
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from twintier.inmf.check import CHECKS
from twintier.inmf.check.subject import Subject
from twintier.inmf.check.suite import run_check
from twintier.inmf.contract import Inmf
from twintier.inmf.registry import GROUP

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def registered() -> dict[str, EntryPoint]:
    """Entry points as the project states them, whatever an older installation knows."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    points = project["entry-points"][GROUP]
    return {name: EntryPoint(name, value, GROUP) for name, value in points.items()}


@cache
def subject(name: str) -> Subject:
    """One subject for all checks of an INMF, so that slots are simulated once."""
    made: object = registered()[name].load()()
    assert isinstance(made, Inmf)
    assert made.spec.inmf == name
    return Subject(made)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", registered())
def test_the_contract_is_kept(name: str, check: str) -> None:
    finding = run_check(check, subject(name))
    assert finding.ok, finding.what
