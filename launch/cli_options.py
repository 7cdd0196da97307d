"""Options that several commands take, and what every listening command does first."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_URL = "mqtt://127.0.0.1:1883"

Url = Annotated[str, typer.Option(help="Broker, mqtt://host:port or mqtts://host:port.")]
Certs = Annotated[
    Path | None,
    typer.Option(help="Folder of `twintier certs`; a broker on this machine is mqtts:// then."),
]
Identity = Annotated[str, typer.Option(help="Whose certificate is shown; with --certs only.")]
Root = Annotated[str, typer.Option(help="Root of all topics.")]


def quiet_logs(level: str = "error") -> None:
    """Let only errors through, or less, so that the output is what was asked for."""
    from broker.observe import configure_logs  # noqa: PLC0415

    configure_logs(level=level)
