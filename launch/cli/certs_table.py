"""What `twintier certs show` prints."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from twintier.broker.certs.folder import CertificateState, inspect
from twintier.launch.exit_codes import ExitCode


def show(folder: Path, now: datetime, *, as_json: bool) -> int:
    """Print every certificate of a folder; the exit code says whether one must be renewed.

    Raises:
        CertificateError: if the folder cannot be read.
    """
    states = inspect(folder, now=now)
    if as_json:
        print(json.dumps([as_fields(state) for state in states], indent=2))
    else:
        _print(states)
    return ExitCode.CERTIFICATE if any(s.must_be_renewed for s in states) else ExitCode.OK


def as_fields(state: CertificateState) -> dict[str, object]:
    """One certificate as plain values."""
    return {
        "subject": state.identity,
        "role": state.role,
        "ends": state.ends.isoformat(),
        "days_left": state.days_left,
        "must_be_renewed": state.must_be_renewed,
        "old_authority": state.by_old_authority,
    }


def _print(states: Sequence[CertificateState]) -> None:
    table = Table("subject", "role", "days left", "")
    for state in states:
        table.add_row(state.identity, state.role, str(state.days_left), _remark(state))
    Console().print(table)


def _remark(state: CertificateState) -> str:
    remarks = ["old authority"] if state.by_old_authority else []
    if state.days_left < 0:
        remarks.append("ENDED")
    elif state.must_be_renewed:
        remarks.append("ends soon: twintier certs rotate")
    return ", ".join(remarks)
