"""Where figures come from: the code, the machine and the libraries that they were measured with."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def git(*arguments: str) -> str:
    """What git says of this repository, without the line's end."""
    command = ["git", *arguments]
    output = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True, text=True)  # noqa: S603
    return output.stdout.strip()


def origin(packages: Sequence[str]) -> dict[str, object]:
    """Date, commit, files that differ from it, processor and versions.

    Args:
        packages: distributions whose versions matter.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git("rev-parse", "--short", "HEAD"),
        "changed_files": len(git("status", "--porcelain", "--untracked-files=no").splitlines()),
        "machine": {"processor": _processor(), "cores": os.cpu_count()},
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in packages},
        },
    }


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
