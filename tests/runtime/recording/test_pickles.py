"""Whose classes a recording may hold: ours, and those of packages with INMFs or sources."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pytest

from tests.support.toy_inmf import ToyInmf, ToyRule
from twintier.runtime.recording import pickles
from twintier.runtime.recording.pickles import UnreadableError, dumps, loads, plugin_packages


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    plugin_packages.cache_clear()
    yield
    plugin_packages.cache_clear()


@pytest.mark.parametrize("group", ["twintier.inmf", "twintier.source"])
def test_classes_of_a_package_that_registers_one_are_held(
    monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    point = EntryPoint("toy", "tests.support.toy_inmf:ToyInmf", group)
    points = {group: [point]}
    monkeypatch.setattr(pickles, "entry_points", lambda *, group: points.get(group, []))
    assert loads(dumps(ToyRule(3.0))) == ToyRule(3.0)
    inmf = loads(dumps(ToyInmf()))
    assert isinstance(inmf, ToyInmf)
    assert inmf.schema_id == ToyInmf().schema_id


def test_classes_of_other_packages_are_not() -> None:
    with pytest.raises(UnreadableError, match=r"may not hold tests\.support\.toy_inmf\.ToyRule"):
        loads(dumps(ToyRule(3.0)))
