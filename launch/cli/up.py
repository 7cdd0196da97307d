"""`twintier up`: one role in this process."""

from typing import TYPE_CHECKING, Annotated

import typer

from twintier.launch.cli.configured import Option, configured, option

if TYPE_CHECKING:
    from twintier.launch.settings.resolve import Settings

up = typer.Typer(help="Run one role in this process.", no_args_is_help=True)

ROLE = tuple(
    option(path)
    for path in (
        "connection.url",
        "connection.root",
        "connection.certs",
        "deployment.state",
        "deployment.ledgers",
        "deployment.inbox",
        "deployment.inject",
    )
)
"""Options of every role."""
INMF = option("deployment.inmfs", spelled="--inmf")
ALGORITHM = option("cloud.algorithm", spelled="--meta-algorithm")
SOURCE: tuple[Option, ...] = (
    option("source.plvns"),
    option("source.rsus"),
    option("source.city"),
    option("source.name"),
    option("source.warmup_s"),
    option("source.start_hour"),
    option("source.constant"),
    option("host.speed"),
)
"""Options of the vehicles, here and in the demo."""


@up.command("broker")
@configured(
    option("broker.kind"),
    option("broker.port"),
    option("broker.bind"),
    option("connection.certs"),
    option("connection.root"),
    option("deployment.state"),
)
def up_broker(settings: "Settings") -> int:
    """Run a broker on this machine; with --certs it knows its clients by their certificates."""
    from twintier.launch.roles import run_broker  # noqa: PLC0415
    from twintier.launch.settings.own import (  # noqa: PLC0415
        BrokerSettings,
        ConnectionSettings,
        DeploymentSettings,
    )

    broker, connection = settings.of(BrokerSettings), settings.of(ConnectionSettings)
    if connection.certs is None and broker.bind != BrokerSettings().bind:
        raise typer.BadParameter("without --certs a broker is open to all: it stays on 127.0.0.1")
    return run_broker(broker, connection, settings.of(DeploymentSettings).state / "broker")


@up.command("cloud")
@configured(
    *ROLE,
    option("cloud.seed"),
    option("cloud.expected_edges"),
    option("cloud.expected_plvns"),
    option("cloud.planning_s"),
    option("cloud.n_min"),
    ALGORITHM,
)
def up_cloud(settings: "Settings") -> int:
    """Run the cloud twin."""
    from twintier.cloud_twin.settings import CloudSettings  # noqa: PLC0415
    from twintier.launch.roles import role_options  # noqa: PLC0415
    from twintier.launch.twins import run_cloud  # noqa: PLC0415

    return run_cloud(role_options(settings), settings.of(CloudSettings))


@up.command("edge")
@configured(
    *ROLE,
    option("edge.seed"),
    option("edge.lat_deg", spelled="--lat"),
    option("edge.lon_deg", spelled="--lon"),
    option("edge.capacity"),
    option("deployment.workers"),
)
def up_edge(
    settings: "Settings",
    edge: Annotated[str, typer.Argument(metavar="ID", help="Id of this edge server.")],
) -> int:
    """Run an edge server."""
    from twintier.edge_twin.settings import EdgeSettings  # noqa: PLC0415
    from twintier.launch.roles import role_options  # noqa: PLC0415
    from twintier.launch.twins import run_edge  # noqa: PLC0415
    from twintier.protocol.errors import InvalidIdError  # noqa: PLC0415
    from twintier.protocol.ids import EdgeId, check_level  # noqa: PLC0415

    try:
        identity = EdgeId(check_level(edge))
    except InvalidIdError as error:
        raise typer.BadParameter(str(error)) from error
    return run_edge(role_options(settings), identity, settings.of(EdgeSettings))


@up.command("agent")
@configured(
    *ROLE,
    option("source.source"),
    option("source.network"),
    *SOURCE,
    option("source.seed"),
    option("source.duration_sim_s", spelled="--demand-s"),
    option("deployment.wait"),
    INMF,
)
def up_agent(settings: "Settings") -> int:
    """Run a source of vehicles and the agents of its PLVNs."""
    from twintier.launch.roles import role_options, run_agents  # noqa: PLC0415
    from twintier.launch.sources import SourceOptions  # noqa: PLC0415
    from twintier.plvn_agent.settings import AgentSettings  # noqa: PLC0415
    from twintier.plvn_agent.slot_loop import HostSettings  # noqa: PLC0415

    return run_agents(
        role_options(settings),
        settings.of(SourceOptions),
        settings.of(AgentSettings),
        settings.of(HostSettings),
    )
