"""The page that says how an INMF is written: its example is whole, its tables name what exists."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from twintier.inmf.check import check
from twintier.inmf.contract import Inmf

PAGE = (Path(__file__).parents[2] / "docs" / "inmf.md").read_text(encoding="utf-8")
EXAMPLE, CHECKING = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The first example as the module that the page calls it."""
    (tmp_path / "task_place.py").write_text(EXAMPLE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("task_place")
    del sys.modules["task_place"]


def test_the_example_keeps_the_contract(example: ModuleType) -> None:
    inmf = example.TaskPlace()
    assert isinstance(inmf, Inmf)
    findings = check(inmf)
    assert [finding for finding in findings if not finding.ok] == []
    without = {finding.name for finding in findings if finding.what.startswith("not stated")}
    assert {"calibration is a posterior", "nobody beats the bound"} <= without
    assert not {"spec is whole", "rule is a value", "world gives declared fields"} & without


def test_the_example_can_be_checked_as_the_page_says(
    example: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert example.__name__ == "task_place"
    exec(CHECKING, {})  # noqa: S102  # the page's own lines
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok  spec is whole - task-place, 1 numbers")
    assert [line for line in lines if not line.startswith("ok ")] == []


def test_every_part_that_is_named_is_one_of_the_contract() -> None:
    parts = re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE)
    stated = {*dir(Inmf), *Inmf.__annotations__}
    assert [part for part in parts if part not in stated] == []
    optional = {"bound", "calibration", "emulator", "emulator_of", "rule_actions", "teaches"}
    assert optional | {"world", "admissible", "attributes", "former_schemas"} <= set(parts)
