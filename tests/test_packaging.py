"""The project has one importable name, and says so in types, imports and strings.

The folders can be imported by their bare names too when Python starts in the repository's root: a
module would then exist twice, with classes that are not equal to themselves.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = sorted(link.name for link in (ROOT / "twintier").iterdir() if link.is_symlink())
SOURCES = sorted(
    path
    for name in (*FOLDERS, "bench", "tests", "examples", "docs")
    for path in (ROOT / name).rglob("*.py")
)
EXEMPT = (Path(__file__), ROOT / "runtime/recording/old_names.py")
"""Where bare names stand on purpose: examples here, and names in recordings of older releases."""
BARE = "|".join(FOLDERS)
DOTTED = re.compile(rf"({BARE})\.(\w+)[\w.]*")
CODE = re.compile(
    rf"\bimport (?:[\w.]+, *)*(?:{BARE})\b"
    rf"|\bfrom (?:{BARE})[\w.]* import\b"
    rf"|\bpython3? -m (?:{BARE})\b"
)


def names_a_module(text: str) -> bool:
    """Whether a string is the bare name of a module, or of something in one."""
    found = DOTTED.fullmatch(text)
    if found is None:
        return False
    place = ROOT / found[1] / found[2]
    return place.is_dir() or place.with_suffix(".py").exists()


def bare_names(tree: ast.AST) -> Iterator[str]:
    """Bare names that a module imports, or that its strings hold."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names if name.name.split(".")[0] in FOLDERS)
            case ast.ImportFrom(module=str(module), level=0) if module.split(".")[0] in FOLDERS:
                yield module
            case ast.Constant(value=str(text)) if names_a_module(text):
                yield text
            case ast.Constant(value=str(text)):
                yield from CODE.findall(text)
            case _:
                pass


@pytest.mark.parametrize(
    "source",
    [
        "import protocol.codec",
        "import json, broker",
        "from runtime.core import Core",
        "patch('broker.bus.WINDOW')",
        "run('import sys, launch.cli')",
        "run('from inmf import spec')",
        "'''Written by `python -m protocol.document`.'''",
    ],
)
def test_a_bare_name_is_found(source: str) -> None:
    assert len(list(bare_names(ast.parse(source)))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import twintier.protocol.codec",
        "from twintier.broker import bus",
        "from . import protocol",
        "patch('twintier.broker.bus.WINDOW')",
        "host = 'broker.example'",
        "topic = 'plvn/+/up/perf'",
    ],
)
def test_what_is_no_bare_name_is_left_alone(source: str) -> None:
    assert list(bare_names(ast.parse(source))) == []


def test_no_module_imports_or_names_another_by_its_bare_name() -> None:
    found = {
        str(path.relative_to(ROOT)): names
        for path in SOURCES
        if path not in EXEMPT
        and (names := list(bare_names(ast.parse(path.read_text(encoding="utf-8")))))
    }
    assert found == {}


def test_no_page_of_the_docs_runs_a_module_by_its_bare_name() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "Makefile"]
    found = {page.name: CODE.findall(page.read_text(encoding="utf-8")) for page in pages}
    assert {page: names for page, names in found.items() if names} == {}


def test_every_package_that_ships_is_typed() -> None:
    packages = [path.parent for name in FOLDERS for path in (ROOT / name).rglob("__init__.py")]
    assert len(packages) > len(FOLDERS)
    assert [str(folder) for folder in packages if not (folder / "py.typed").exists()] == []


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for name in FOLDERS for path in (ROOT / name).rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []
