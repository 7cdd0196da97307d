"""The doctor's look at this machine: disk, state folder, certificates."""

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from twintier.broker.certs.folder import CertificateState, inspect
from twintier.broker.errors import CertificateError
from twintier.launch.doctor.findings import Finding, Level
from twintier.launch.doctor.probe import Probe

LOW_BYTES = 1 << 30
OUT_BYTES = 100 * (1 << 20)


async def check_disk(probe: Probe) -> list[Finding]:
    """Room for stores, and for the broker's own state where it is on this machine."""
    broker = probe.state / "broker"
    if not probe.state.is_dir():
        seen = f"{probe.state} does not exist yet"
        return [Finding("disk", "ok", seen), *_room(_existing(probe.state), "disk")]
    findings = [*_writable(probe.state), *_room(probe.state, "disk")]
    return [*findings, *(_room(broker, "broker's disk") if broker.is_dir() else [])]


def _existing(folder: Path) -> Path:
    """The nearest folder above that exists."""
    return next(f for f in (folder, *folder.absolute().parents) if f.is_dir())


def _writable(folder: Path) -> list[Finding]:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return []
    except OSError as error:
        seen = f"{folder} cannot be written: {error.strerror}"
        return [Finding("disk", "problem", seen, "", f"chown -R $USER {folder}, or --state")]


def _room(folder: Path, check: str) -> list[Finding]:
    free = shutil.disk_usage(folder).free
    level: Level = "ok" if free >= LOW_BYTES else "problem" if free < OUT_BYTES else "warning"
    seen = f"{free / (1 << 30):.1f} GiB free at {folder}"
    fix = "" if level == "ok" else f"free some space on the file system of {folder}"
    return [Finding(check, level, seen, "at least 1 GiB", fix)]


async def check_certificates(probe: Probe) -> list[Finding]:
    """How long the certificates in the folder are good for."""
    folder = probe.connection.certs
    if folder is None:
        return []
    try:
        states = inspect(folder, now=datetime.now(UTC))
    except CertificateError as error:
        return [Finding("certificates", "problem", str(error), "", "restore the folder")]
    due = [state for state in states if state.must_be_renewed]
    if not due:
        soonest = min(states, key=lambda state: state.left)
        seen = f"{len(states)} certificates; the first ends in {soonest.days_left} days"
        return [Finding("certificates", "ok", seen, "at least 7 days")]
    return [_due(state, folder) for state in due]


def _due(state: CertificateState, folder: Path) -> Finding:
    over = state.days_left < 0
    seen = f"{state.identity}'s {'ended' if over else 'ends'} on {state.ends:%Y-%m-%d}"
    option = " --ca" if state.role == "ca" else ""
    fix = f"twintier certs rotate {folder}{option}"
    level: Level = "problem" if over else "warning"
    return Finding("certificates", level, seen, "at least 7 days", fix)
