"""`twintier bus`: the wire to a file, and a file to the wire."""

from pathlib import Path
from typing import Annotated

import typer

from twintier.launch.cli.options import DEFAULT_URL, Certs, Identity, Root, Url, quiet_logs

bus = typer.Typer(help="Record what passes on the bus, and play it back.", no_args_is_help=True)


@bus.command("record")
def bus_record(
    file: Annotated[Path, typer.Argument(help="The tape to write; must not exist.")],
    *,
    url: Url = DEFAULT_URL,
    root: Root = "twintier",
    topic_filter: Annotated[
        str, typer.Option("--filter", help="MQTT filter below the root's v1/.")
    ] = "#",
    seconds: Annotated[float | None, typer.Option(min=0.1, help="End after these.")] = None,
    count: Annotated[int, typer.Option(min=0, help="End after this many; 0 never.")] = 0,
    certs: Certs = None,
    identity: Identity = "monitor",
) -> None:
    """Write every message to a tape, byte for byte, until Ctrl-C."""
    from twintier.launch.connection import Connection  # noqa: PLC0415
    from twintier.launch.inspect.tape import TapeOptions, run_record  # noqa: PLC0415

    quiet_logs()
    connection = Connection(url, certs, identity)
    options = TapeOptions(connection, root, topic_filter, file, seconds, count)
    raise typer.Exit(run_record(options))


@bus.command("replay")
def bus_replay(
    file: Annotated[Path, typer.Argument(help="The tape.")],
    *,
    url: Url = DEFAULT_URL,
    root: Annotated[
        str | None,
        typer.Option(help="Play below this root, so that a live platform is not disturbed."),
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0, help="Times as fast; 0: as fast as acknowledged.")
    ] = 1.0,
    retained: Annotated[
        bool, typer.Option("--retained", help="Play values from before the recording too.")
    ] = False,
    certs: Certs = None,
    identity: Identity = "monitor",
) -> None:
    """Publish the messages of a tape again, in order and at their spacing."""
    from twintier.launch.connection import Connection  # noqa: PLC0415
    from twintier.launch.inspect.tape import ReplayOptions, run_replay  # noqa: PLC0415

    quiet_logs()
    connection = Connection(url, certs, identity)
    raise typer.Exit(run_replay(ReplayOptions(connection, file, root, speed, retained)))
