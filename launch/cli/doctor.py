"""`twintier doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from twintier.launch.cli.options import (
    DEFAULT_URL,
    Certs,
    Identity,
    Output,
    Root,
    Url,
    is_json,
    quiet_logs,
)


def doctor(
    *,
    url: Url = DEFAULT_URL,
    certs: Certs = None,
    identity: Identity = "monitor",
    root: Root = "twintier",
    state: Annotated[Path, typer.Option(help="Folder of stores on this machine.")] = Path("state"),
    seconds: Annotated[float, typer.Option(min=0.5, help="How long to listen.")] = 3.0,
    probe_root: Annotated[
        str | None, typer.Option(help="Root of test messages; else a new one each time.")
    ] = None,
    output: Output = "text",
) -> None:
    """Look for what would lose messages or let strangers in, and say what mends it."""
    as_json = is_json(output)
    from twintier.launch.connection import Connection  # noqa: PLC0415
    from twintier.launch.doctor.examine import run_doctor  # noqa: PLC0415
    from twintier.launch.doctor.probe import Probe, new_probe_root  # noqa: PLC0415

    quiet_logs("critical")
    probe = Probe(
        Connection(url, certs, identity), root, state, seconds, probe_root or new_probe_root()
    )
    raise typer.Exit(run_doctor(probe, as_json=as_json))
