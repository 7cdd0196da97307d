"""The page that says how an INMF is written: its example is whole, its tables name what exists."""

import asyncio
import importlib
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from twintier.inmf.check import check
from twintier.inmf.contract import REWARD, Inmf
from twintier.inmf.registry import GROUP
from twintier.inmf.spec import InmfSpec
from twintier.plvn_agent.source import SourceError
from twintier.plvn_agent.sources.registry import SourceKind, SourceOptions
from twintier.protocol.ids import InmfId, PlvnId

PAGE = (Path(__file__).parents[2] / "docs" / "inmf.md").read_text(encoding="utf-8")
EXAMPLE, CHECKING, SOURCE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


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


def test_the_package_of_the_example_is_whole() -> None:
    package = tomllib.loads(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0])
    assert {"build-system", "project", "tool"} <= package.keys()
    assert package["tool"]["setuptools"]["py-modules"] == ["task_place"]
    assert package["project"]["entry-points"][GROUP] == {"task-place": "task_place:TaskPlace"}


def test_the_source_measures_and_acts(
    example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "task_source.py").write_text(SOURCE, encoding="utf-8")
    module = importlib.import_module("task_source")
    monkeypatch.delitem(sys.modules, "task_source")
    kind = module.ServersKind()
    assert isinstance(kind, SourceKind)
    source = kind.make(SourceOptions("servers", plvns=2, seed=5))
    seen = asyncio.run(source.observe())
    assert {plvn: traffic.slot for plvn, traffic in seen.items()} == {"server-1": 0, "server-2": 0}
    plvn, inmf = PlvnId("server-1"), InmfId("task-place")
    fields = source.fields(plvn, inmf)
    assert fields is not None
    outcome = source.act(plvn, inmf, np.array([example.AT_EDGE]))
    assert float(outcome[REWARD]) == 1.0 - float(fields["load"])
    assert source.fields(plvn, InmfId("other")) is None
    with pytest.raises(SourceError, match="servers-5 carries out no actions of other"):
        source.act(plvn, InmfId("other"), np.array([0]))


@pytest.mark.parametrize(
    "changes", [{"slot_s": 2.0}, {"gamma": 0.5}, {"reward_unit": "J"}, {"version": 2}]
)
def test_the_schema_id_holds_what_the_page_says(
    example: ModuleType, changes: dict[str, object]
) -> None:
    change: Callable[..., InmfSpec] = replace
    inmf, other = example.TaskPlace(), example.TaskPlace()
    other.spec = change(inmf.spec, **changes)
    assert (other.schema_id != inmf.schema_id) == ("version" in changes)


def test_every_part_that_is_named_is_one_of_the_contract() -> None:
    parts = re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE)
    stated = {*dir(Inmf), *Inmf.__annotations__}
    assert [part for part in parts if part not in stated] == []
    optional = {"bound", "calibration", "emulator", "emulator_of", "rule_actions", "teaches"}
    assert optional | {"world", "admissible", "attributes", "former_schemas"} <= set(parts)
