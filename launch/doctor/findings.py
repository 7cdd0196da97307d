"""What the doctor finds: a level, what was seen, the limit, and the line that mends it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    level: Level
    seen: str
    limit: str = ""
    """What it is held against; empty where there is nothing to hold it against."""
    fix: str = ""
    """The line to write or run; empty if nothing is wrong."""


def worst(findings: Sequence[Finding]) -> Level:
    """The worst level among findings."""
    levels = {finding.level for finding in findings}
    if "problem" in levels:
        return "problem"
    return "warning" if "warning" in levels else "ok"


def as_fields(findings: Sequence[Finding]) -> dict[str, object]:
    """Findings as plain values."""
    return {"worst": worst(findings), "findings": [asdict(finding) for finding in findings]}


def as_lines(findings: Sequence[Finding]) -> list[str]:
    """Findings for people: one line each, and a second with what mends it."""
    lines = []
    for found in findings:
        limit = f" ({found.limit})" if found.limit else ""
        lines.append(f"{found.level:<8} {found.check}: {found.seen}{limit}")
        if found.fix:
            lines.append(f"{'':<8}   mend it: {found.fix}")
    return lines
