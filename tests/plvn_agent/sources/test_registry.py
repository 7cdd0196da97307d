"""Sources by name: installed ones are made, others are refused with what there is."""

from importlib.metadata import EntryPoint

import pytest

from twintier.plvn_agent.source import SourceError
from twintier.plvn_agent.sources import registry
from twintier.plvn_agent.sources.builtin import BuiltinSource
from twintier.plvn_agent.sources.registry import GROUP, SourceOptions, kind_of

BUILTIN = "twintier.plvn_agent.sources.builtin:Builtin"


def has(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    points = {name: EntryPoint(name, value, GROUP) for name, value in values.items()}
    monkeypatch.setattr(registry, "installed", lambda: points)


def test_an_installed_source_is_made_of_options(monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, other=BUILTIN)
    options = SourceOptions("other", plvns=3, seed=7)
    source = kind_of("other").make(options)
    assert isinstance(source, BuiltinSource)
    assert source.clock_id == "builtin-7"
    assert [profile.plvn for profile in source.plvns] == kind_of("other").possible_plvns(options)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "source 'missing' is not installed; there are: broken, builtin, number"),
        ("broken", r"source 'broken' of nowhere:Nothing cannot be loaded: No module named"),
        ("number", "builtins:int is no kind of source"),
    ],
)
def test_others_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    has(monkeypatch, builtin=BUILTIN, broken="nowhere:Nothing", number="builtins:int")
    with pytest.raises(SourceError, match=message):
        kind_of(name)


def test_ours_are_installed() -> None:
    assert {"builtin", "sumo"} <= registry.installed().keys()
