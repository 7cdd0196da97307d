"""`twintier bus`: the wire to a file, a file to the wire, and the way to the broker."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twintier.launch.cli.configured import CONNECTION, configured, option
from twintier.launch.cli.options import connection_of, quiet_logs
from twintier.launch.cli.watching import check, watch

if TYPE_CHECKING:
    from twintier.launch.settings.resolve import Settings

bus = typer.Typer(
    help="Record what passes on the bus, play it back, watch it, check it.", no_args_is_help=True
)
PLAYED = tuple(each for each in CONNECTION if each != option("connection.root"))
"""A tape goes where it was recorded, whatever the root of this deployment."""


@bus.command("record")
@configured(*CONNECTION)
def bus_record(
    settings: "Settings",
    file: Annotated[Path, typer.Argument(help="The tape to write; must not exist.")],
    *,
    topic_filter: Annotated[
        str, typer.Option("--filter", help="MQTT filter below the root's v1/.")
    ] = "#",
    seconds: Annotated[float | None, typer.Option(min=0.1, help="End after these.")] = None,
    count: Annotated[int, typer.Option(min=0, help="End after this many; 0 never.")] = 0,
) -> int:
    """Write every message to a tape, byte for byte, until Ctrl-C."""
    from twintier.launch.inspect.tape import TapeOptions, run_record  # noqa: PLC0415

    quiet_logs()
    connection, root = connection_of(settings)
    return run_record(TapeOptions(connection, root, topic_filter, file, seconds, count))


@bus.command("replay")
@configured(*PLAYED)
def bus_replay(
    settings: "Settings",
    file: Annotated[Path, typer.Argument(help="The tape.")],
    *,
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
) -> int:
    """Publish the messages of a tape again, in order and at their spacing."""
    from twintier.launch.inspect.tape import ReplayOptions, run_replay  # noqa: PLC0415

    quiet_logs()
    connection, _ = connection_of(settings)
    return run_replay(ReplayOptions(connection, file, root, speed, retained))


bus.command("watch")(watch)
bus.command("check")(check)
