"""What several commands take that is no setting, and what every listening command does first."""

from typing import TYPE_CHECKING, Annotated

import typer

from twintier.launch.cli.deprecated import deprecated

if TYPE_CHECKING:
    from twintier.launch.connection import Connection
    from twintier.launch.settings.resolve import Settings

Output = Annotated[
    str, typer.Option("-o", "--output", metavar="table|json", help="For people or for programs.")
]
Seconds = Annotated[float, typer.Option(min=0.5, help="How long to listen.")]
LISTEN_S = 2.5


def is_json(output: str) -> bool:
    """Whether json was asked for.

    Raises:
        typer.BadParameter: if it is neither table nor json.
    """
    if output == "text":
        deprecated("-o text", "-o table")
    elif output not in {"table", "json"}:
        raise typer.BadParameter(f"output {output!r} is neither table nor json")
    return output == "json"


def quiet_logs(level: str = "error") -> None:
    """Let only errors through, or less, so that the output is what was asked for."""
    from twintier.runtime.logs import configure_logs  # noqa: PLC0415

    configure_logs(level=level)


def connection_of(settings: "Settings") -> "tuple[Connection, str]":
    """The broker that is listened to, and the root of its topics.

    Raises:
        SettingError: if they cannot be used.
    """
    from twintier.broker.mqtt.link import MqttSettings  # noqa: PLC0415
    from twintier.launch.connection import Connection  # noqa: PLC0415
    from twintier.launch.settings.own import ConnectionSettings  # noqa: PLC0415

    chosen = settings.of(ConnectionSettings)
    mqtt = settings.of(MqttSettings)
    return Connection(chosen.url, chosen.certs, chosen.identity, mqtt), chosen.root
