"""The wheel, built and installed by itself beside what has the names of its folders.

It wants a package index, so `make wheel-check` runs it and `make test` does not.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

from twintier.broker.errors import BrokerStartError
from twintier.broker.servers.local import start_broker
from twintier.broker.servers.process import RunningBroker

pytestmark = [pytest.mark.system, pytest.mark.wheel]

ROOT = Path(__file__).parents[2]
NEIGHBOURS = ("broker==0.8.11", "protocol==0.37")
"""Distributions of the index whose packages have names of folders here.

They come without what they depend on: their modules fail when imported, so nobody imports them
by mistake and goes on.
"""
PATIENCE_S = 60.0
NOT_SOURCE = (".*", "build", "dist", "*.egg-info", "__pycache__", "node_modules", "state")
NEIGHBOURS_KEEP_THEIR_FILES = """
from importlib.metadata import distribution
ours = {str(path.locate()) for path in distribution("twintier").files}
for name in ("broker", "protocol"):
    for path in distribution(name).files:
        if path.suffix == ".py" and "tests" not in path.parts:
            assert str(path.locate()) not in ours, path
            assert path.size == path.locate().stat().st_size, path
            print(name, path.parts[0])
"""


@dataclass(frozen=True)
class Built:
    """What an index would be given."""

    wheel: Path
    sdist: Path


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel with base dependencies, and its neighbours."""

    bin: Path
    environment: dict[str, str]

    def start(self, program: str, *arguments: str) -> "subprocess.Popen[str]":
        """Start a program of it in a folder where nothing of the repository can be imported."""
        return subprocess.Popen(
            [self.bin / program, *arguments],
            cwd=self.bin,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, program: str, *arguments: str, code: int = 0) -> str:
        """Run a program of it and give what it printed; it must end with this code."""
        with self.start(program, *arguments) as process:
            try:
                output, _ = process.communicate(timeout=PATIENCE_S)
            finally:
                process.kill()
        assert process.returncode == code, output
        return output


def run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Both, from a copy: a build folder that lies about must not add to them."""
    source, out = tmp_path_factory.mktemp("source") / "twintier", tmp_path_factory.mktemp("out")
    shutil.copytree(ROOT, source, symlinks=True, ignore=shutil.ignore_patterns(*NOT_SOURCE))
    run(sys.executable, "-m", "build", "--outdir", out, source)
    [wheel], [sdist] = out.glob("*.whl"), out.glob("*.tar.gz")
    return Built(wheel, sdist)


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv/bin"
    pip = (programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "--no-deps", *NEIGHBOURS)
    run(*pip, "-c", ROOT / "constraints.txt", built.wheel)
    (folder / "mine/launch").mkdir(parents=True)
    (folder / "mine/launch/__init__.py").write_text("raise ImportError('this launch is mine')\n")
    environment = {**os.environ, "PYTHONPATH": str(folder / "mine"), "PYTHONUNBUFFERED": "1"}
    return Installed(programs, environment)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    try:
        running = start_broker("auto", tmp_path)
    except BrokerStartError as error:
        pytest.skip(f"no broker here: {error}")
    yield running
    running.stop()


def modules_here() -> set[str]:
    """Every file that ships, below the one name."""
    folders = [ROOT / "twintier", *(ROOT / "twintier").iterdir()]
    found = {ROOT / "twintier" / name for name in ("__init__.py", "__main__.py", "py.typed")}
    for folder in folders:
        if folder.is_symlink():
            found |= {*folder.rglob("*.py"), *folder.rglob("py.typed")}
    return {str(path.relative_to(ROOT)) for path in found}


def test_the_wheel_holds_one_name_and_nothing_else(built: Built) -> None:
    names = set(ZipFile(built.wheel).namelist())
    about = {name for name in names if name.startswith("twintier-")}
    assert names - about == modules_here()
    assert {Path(name).name for name in about} == {
        "METADATA", "RECORD", "WHEEL", "LICENSE", "entry_points.txt", "top_level.txt"
    }  # fmt: skip


def test_the_source_distribution_holds_what_the_wheel_is_built_from(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if not name.endswith("/")}
    code = {name for name in names if name.endswith((".py", "py.typed"))}
    assert code == modules_here()
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml"} <= names


def test_neighbours_keep_their_files(installed: Installed) -> None:
    listed = installed.run("python", "-c", NEIGHBOURS_KEEP_THEIR_FILES)
    assert set(listed.splitlines()) == {"broker broker", "protocol protocol"}


def test_help_comes_beside_neighbours(installed: Installed) -> None:
    assert "Usage: twintier [OPTIONS] COMMAND" in installed.run("twintier", "--help")


def test_the_base_install_is_light_and_says_what_a_twin_lacks(installed: Installed) -> None:
    output = installed.run("twintier", "up", "cloud", code=2)
    said, _, rest = output.partition("\n")
    assert said == "twintier: this command needs sqlalchemy"
    assert rest.endswith("  next: pip install 'twintier[twins]'\n")


def test_an_agent_of_the_base_install_registers_and_ends_by_its_signal(
    installed: Installed, broker: RunningBroker, tmp_path: Path
) -> None:
    common = ("--url", broker.url)
    state = ("--state", str(tmp_path / "state"))
    agent = installed.start("twintier", "up", "agent", "--plvns", "1", *common, *state)
    try:
        watch = ("watch", "plvn/+/up/register", *common, "--count", "1", "-o", "json")
        seen = json.loads(installed.run("twintier", *watch))
        assert seen["type"] == "registration-requested.v1"
        assert seen["src"] == "plvn:toronto-highway-1"
        agent.send_signal(signal.SIGTERM)
        output, _ = agent.communicate(timeout=PATIENCE_S)
    finally:
        agent.kill()
    assert agent.returncode == 0, output
