"""What takes too long for every run of the tests: a million inputs, clusters, memory, crashes.

Each part is a run of pytest, read from its report. A part has passed if tests of it ran and none
failed; what was skipped is named with its reason, so nothing counts that did not happen. Figures
are what the tests record.
"""

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench._origin import REPOSITORY, git

LONGEST_S = 1800
"""Of one part, and of one test."""


@dataclass(frozen=True, slots=True)
class Part:
    """Tests, and how much they shall do."""

    paths: Sequence[str]
    only: str = "soak"
    """Marker expression."""
    amounts: Mapping[str, str] = field(default_factory=dict)
    """Environment variables that say how much."""


PARTS: Mapping[str, Part] = {
    "codec_fuzz": Part(["tests/property/test_fuzz.py"], "not soak", {"FUZZ_INPUTS": "1000000"}),
    "clusters": Part(["tests/contract/test_bus.py", "tests/contract/test_clusters.py"]),
    "fresh_machine": Part(["tests/system/test_fresh.py"]),
    "flat_memory": Part(["tests/system/test_flat_memory.py"]),
    "crash_histories": Part(
        ["tests/system/faults"],
        "soak or not soak",
        {"TWINTIER_HISTORY_MESSAGES": "30000", "TWINTIER_HISTORY_PATIENCE_S": "900"},
    ),
}


def run() -> Mapping[str, object]:
    """Run every part."""
    start = time.monotonic()
    parts = {name: _run(part) for name, part in PARTS.items()}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git("rev-parse", "--short", "HEAD"),
        "changed_files": len(git("status", "--porcelain", "--untracked-files=no").splitlines()),
        "seconds": round(time.monotonic() - start),
        "passed": all(part["passed"] for part in parts.values()),
        "parts": parts,
    }


def _run(part: Part) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", *part.paths, "-m", part.only]
        command += ["-o", f"timeout={LONGEST_S}", "-o", "junit_family=xunit1"]
        command.append(f"--junitxml={report}")
        start = time.monotonic()
        try:
            code = subprocess.run(  # noqa: S603  # our own tests
                command,
                cwd=REPOSITORY,
                env={**os.environ, **part.amounts},
                timeout=LONGEST_S,
                check=False,
                stdout=sys.stderr,
            ).returncode
        except subprocess.TimeoutExpired:
            code = None
        seconds = round(time.monotonic() - start)
        cases = list(ET.parse(report).iter("testcase")) if report.exists() else []  # noqa: S314  # ours
    return {"seconds": seconds, "amounts": dict(part.amounts), **read_cases(cases, code)}


def read_cases(cases: Sequence[ET.Element], code: int | None) -> dict[str, object]:
    """What a report says; `code` is how pytest ended, None if it was ended by us."""
    failed = [case for case in cases if _has(case, "failure") or _has(case, "error")]
    skipped = [case for case in cases if _has(case, "skipped")]
    ran = len(cases) - len(skipped)
    return {
        "passed": code == 0 and ran > 0 and not failed,
        "exit_code": code,
        "ran": ran,
        "failed": [case.get("name", "") for case in failed],
        "skipped": {case.get("name", ""): _reason(case) for case in skipped},
        "figures": {
            case.get("name", ""): {
                entry.get("name", ""): entry.get("value", "") for entry in case.iter("property")
            }
            for case in cases
            if _has(case, "properties")
        },
    }


def _has(case: ET.Element, tag: str) -> bool:
    return case.find(tag) is not None


def _reason(case: ET.Element) -> str:
    skipped = case.find("skipped")
    return "" if skipped is None else skipped.get("message", "")
