"""`twintier status`, `twintier watch` and `twintier doctor`: looking at a running platform."""

from typing import TYPE_CHECKING, Annotated

import typer

from twintier.launch.cli.configured import CONNECTION, configured, option
from twintier.launch.cli.options import (
    LISTEN_S,
    Output,
    Seconds,
    connection_of,
    is_json,
    quiet_logs,
)

if TYPE_CHECKING:
    from twintier.launch.settings.resolve import Settings


@configured(*CONNECTION)
def status(settings: "Settings", *, seconds: Seconds = LISTEN_S, output: Output = "table") -> int:
    """Listen for a moment and say who is there, what acts, and what was refused."""
    from twintier.launch.inspect.asking import Asked  # noqa: PLC0415
    from twintier.launch.inspect.status import run_status  # noqa: PLC0415

    quiet_logs()
    connection, root = connection_of(settings)
    return run_status(Asked(connection, root, seconds), as_json=is_json(output))


@configured(*CONNECTION)
def watch(
    settings: "Settings",
    topic_filter: Annotated[
        str, typer.Argument(metavar="FILTER", help="MQTT filter below the root's v1/.")
    ] = "#",
    *,
    output: Output = "table",
    count: Annotated[int, typer.Option(min=0, help="End after this many; 0 never.")] = 0,
) -> int:
    """Print messages as they pass, a line each."""
    from twintier.launch.inspect.watch import run_watch  # noqa: PLC0415

    quiet_logs()
    connection, root = connection_of(settings)
    return run_watch(connection, root, topic_filter, as_json=is_json(output), count=count)


ProbeRoot = Annotated[
    str | None, typer.Option(help="Root of test messages; else a new one each time.")
]


@configured(*CONNECTION, option("deployment.state"))
def doctor(
    settings: "Settings",
    *,
    seconds: Seconds = 3.0,
    probe_root: ProbeRoot = None,
    output: Output = "table",
) -> int:
    """Look for what would lose messages or let strangers in, and say what mends it."""
    return _examine(settings, seconds, probe_root, output, reach_only=False)


@configured(*CONNECTION, option("deployment.state"))
def check(settings: "Settings", *, probe_root: ProbeRoot = None, output: Output = "table") -> int:
    """Look whether the broker is reached, speaks MQTT and answers; the doctor looks at more."""
    return _examine(settings, LISTEN_S, probe_root, output, reach_only=True)


def _examine(
    settings: "Settings", seconds: float, probe_root: str | None, output: str, *, reach_only: bool
) -> int:
    from twintier.launch.doctor.examine import run_doctor  # noqa: PLC0415
    from twintier.launch.doctor.probe import Probe, new_probe_root  # noqa: PLC0415
    from twintier.launch.settings.own import DeploymentSettings  # noqa: PLC0415

    as_json = is_json(output)
    quiet_logs("critical")
    connection, root = connection_of(settings)
    state = settings.of(DeploymentSettings).state
    probe = Probe(connection, root, state, seconds, probe_root or new_probe_root())
    return run_doctor(probe, as_json=as_json, reach_only=reach_only)
