"""The README's two commands on a machine with nothing on it: a minimal Debian in a folder.

Wants root, `debootstrap` and a package index. `TWINTIER_FRESH_PIP` names further files and folders
that pip wants there, such as `/etc/pip.conf` and what it points to, separated by colons.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]
REPOSITORY = Path(__file__).parents[2]
PACKAGES = "python3-venv,make,git,ca-certificates"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
DEMO = 'make demo ARGS="--duration 90 --planning-s 30 --summary demo.json"'


def lacking() -> str:
    """What this machine lacks to build another one; empty if nothing."""
    if shutil.which("debootstrap") is None:
        return "debootstrap is not installed; run: apt-get install -y debootstrap"
    if os.geteuid() != 0:
        return "only root can make a system of its own in a folder"
    return ""


def ran(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {(done.stdout + done.stderr)[-2000:]}"


@contextlib.contextmanager
def bound(paths: Sequence[str], root: Path) -> Iterator[None]:
    """Files and folders of ours at the same place below a root."""
    with contextlib.ExitStack() as stack:
        for path in paths:
            at = root / path.lstrip("/")
            if Path(path).is_dir():
                at.mkdir(parents=True, exist_ok=True)
            else:
                at.parent.mkdir(parents=True, exist_ok=True)
                at.touch()
            ran("mount", "--bind", path, str(at))
            stack.callback(ran, "umount", str(at))
        yield


@pytest.fixture
def debian(tmp_path: Path) -> Iterator[Path]:
    """A minimal Debian with a clone of this repository in `/src`."""
    if lacking():
        pytest.skip(lacking())
    root = tmp_path / "root"
    ran("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root))
    ran("git", "clone", "-q", str(REPOSITORY), str(root / "src"))
    more = [path for path in os.environ.get("TWINTIER_FRESH_PIP", "").split(":") if path]
    with bound(["/proc", "/dev", "/etc/resolv.conf", *more], root):
        yield root


def test_both_commands_of_the_readme_end_well(debian: Path) -> None:
    for command in (DEMO, "make test"):
        done = subprocess.run(
            ["chroot", str(debian), "/bin/sh", "-c", f"cd /src && {command}"],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {(done.stdout + done.stderr)[-4000:]}"
