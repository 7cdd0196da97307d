"""Packages of `tests/plugins`, installed as their users would, into a folder of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PLUGINS = Path(__file__).parents[1] / "plugins"
PIP = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]


def install(name: str, folder: Path) -> Path:
    """Install a package; returns the folder that must be on the path for its entry points."""
    source, target = folder / "source" / name, folder / "installed"
    shutil.copytree(PLUGINS / name, source)  # building leaves files behind
    command = [sys.executable, *PIP, "--target", str(target), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return target


def with_path(folder: Path) -> dict[str, str]:
    """An environment whose Python finds the folder's packages first."""
    before = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), before])}
