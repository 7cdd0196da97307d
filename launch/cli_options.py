"""Options that several commands take, and what every listening command does first."""

from typing import Annotated

import typer

DEFAULT_URL = "mqtt://127.0.0.1:1883"

Url = Annotated[str, typer.Option(help="Broker, mqtt://host:port.")]
Root = Annotated[str, typer.Option(help="Root of all topics.")]


def quiet_logs() -> None:
    """Let only errors through, so that the output is what was asked for."""
    from broker.observe import configure_logs  # noqa: PLC0415

    configure_logs(level="error")
