"""INMFs of packages that are broken: refused by their own name, and nobody else notices."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from typer.testing import CliRunner

from twintier.cloud_twin.settings import CloudSettings
from twintier.inmf import registry
from twintier.inmf.registry import GROUP, UnknownInmfError, inmf_of
from twintier.launch import twins
from twintier.launch.cli.app import app
from twintier.launch.twins import blueprints

OURS = "vnf-scaling"
BARE = """
from twintier.inmf.contract import Inmf


class Made(Inmf):
    def observe(self, rows): ...
    def rule(self): ...
"""
BROKEN = {"bare": ("bare_inmf", BARE), "script": ("script_inmf", "import sys\n\nsys.exit(3)\n")}


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    points = {OURS: registry.installed()[OURS]}
    for name, (module, source) in BROKEN.items():
        (tmp_path / f"{module}.py").write_text(source)
        points[name] = EntryPoint(name, f"{module}:Made", GROUP)
    monkeypatch.syspath_prepend(tmp_path)
    for each in (registry, twins):
        monkeypatch.setattr(each, "installed", lambda: points)
    inmf_of.cache_clear()
    yield
    inmf_of.cache_clear()
    for module, _ in BROKEN.values():
        sys.modules.pop(module, None)


def test_an_inmf_without_a_spec_is_refused_by_its_package() -> None:
    with pytest.raises(UnknownInmfError, match="bare_inmf:Made does not state its spec"):
        inmf_of("bare")


def test_a_module_that_ends_the_process_is_refused_by_its_package() -> None:
    with pytest.raises(UnknownInmfError, match="'script' of script_inmf:Made cannot be loaded: 3"):
        inmf_of("script")


def test_the_cloud_twin_leaves_out_what_is_broken() -> None:
    assert list(blueprints(CloudSettings())) == [OURS]


def test_what_is_broken_is_listed_with_its_problem() -> None:
    listed = CliRunner().invoke(app, ["inmf", "list"])
    assert listed.exit_code == 0, listed.exception
    assert all(name in listed.stdout for name in (OURS, "bare_inmf:Made", "script_inmf:Made"))
