"""Options that several commands take, and what every listening command does first."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

DEFAULT_URL = "mqtt://127.0.0.1:1883"

Url = Annotated[str, typer.Option(help="Broker, mqtt://host:port or mqtts://host:port.")]
Certs = Annotated[
    Path | None,
    typer.Option(help="Folder of `twintier certs`; a broker on this machine is mqtts:// then."),
]
Identity = Annotated[str, typer.Option(help="Whose certificate is shown; with --certs only.")]
Inbox = Annotated[
    Path | None, typer.Option(help="Folder for recordings of what each core is given.")
]
Inject = Annotated[
    str, typer.Option(help="Faults, such as loss=0.02,duplicate=0.05,delay=0.1,skew_s=5.")
]
Root = Annotated[str, typer.Option(help="Root of all topics.")]
Output = Annotated[str, typer.Option("-o", "--output", help="text or json.")]


if TYPE_CHECKING:
    from launch.instruments import Instruments


def instruments_of(inbox: Path | None, inject: str) -> "Instruments":
    """Recordings and faults that were asked for.

    Raises:
        typer.BadParameter: if the faults cannot be read.
    """
    from broker.errors import LocalBusError  # noqa: PLC0415
    from launch.instruments import make_instruments  # noqa: PLC0415

    try:
        return make_instruments(inbox, inject)
    except LocalBusError as error:
        raise typer.BadParameter(str(error)) from error


def is_json(output: str) -> bool:
    """Whether json was asked for.

    Raises:
        typer.BadParameter: if it is neither text nor json.
    """
    if output not in {"text", "json"}:
        raise typer.BadParameter(f"{output!r} is neither text nor json")
    return output == "json"


def quiet_logs(level: str = "error") -> None:
    """Let only errors through, or less, so that the output is what was asked for."""
    from broker.observe import configure_logs  # noqa: PLC0415

    configure_logs(level=level)
