"""`twintier demo`: the whole platform."""

from typing import TYPE_CHECKING

import typer

from twintier.launch.cli.configured import configured, option
from twintier.launch.cli.options import quiet_logs
from twintier.launch.cli.up import ALGORITHM, INMF, SOURCE

if TYPE_CHECKING:
    from twintier.launch.settings.resolve import Settings

BROKERS = ("auto", "mosquitto", "nats", "memory")


@configured(
    option("demo.source"),
    option("demo.scenario"),
    *SOURCE,
    option("demo.broker"),
    option("demo.duration_s", spelled="--duration"),
    option("demo.summary"),
    option("demo.state"),
    option("demo.secure"),
    option("cloud.planning_s"),
    option("cloud.n_min"),
    option("cloud.seed", "edge.seed", "source.seed", spelled="--seed"),
    option("deployment.inbox"),
    option("deployment.inject"),
    ALGORITHM,
    INMF,
)
def demo(settings: "Settings") -> int:
    """Run the whole platform: broker, cloud twin, edge servers, agents and a live table."""
    from twintier.launch.demo.run import run_demo  # noqa: PLC0415
    from twintier.launch.demo.settings import DemoOptions  # noqa: PLC0415

    quiet_logs()
    options = DemoOptions.of(settings)
    broker = options.demo.broker
    if broker not in BROKERS and not broker.startswith("mqtt://"):
        raise typer.BadParameter(
            f"broker {broker!r} is none of {', '.join(BROKERS)} and no mqtt:// URL"
        )
    return run_demo(options)
