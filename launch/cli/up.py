"""`twintier up`: one role in this process."""

from typing import Annotated

import typer

from twintier.launch.cli.options import (
    DEFAULT_STATE,
    DEFAULT_URL,
    Certs,
    Constant,
    Inbox,
    Inject,
    Ledgers,
    NMin,
    PlanningS,
    Plvns,
    Root,
    Rsus,
    Seed,
    SourceName,
    Speed,
    StartHour,
    State,
    Url,
    instruments_of,
    source_kind,
)

up = typer.Typer(help="Run one role in this process.", no_args_is_help=True)


@up.command("broker")
def up_broker(
    *,
    kind: Annotated[str, typer.Option(help="auto, mosquitto or nats.")] = "auto",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="1883, or 8883 with --certs.")
    ] = None,
    state: State = DEFAULT_STATE,
    certs: Certs = None,
    root: Root = "twintier",
    bind: Annotated[
        str, typer.Option(help="Address to listen on, with --certs; 0.0.0.0 for all.")
    ] = "127.0.0.1",
) -> None:
    """Run a broker on this machine; with --certs it knows its clients by their certificates."""
    from twintier.broker.servers.mosquitto import Secured  # noqa: PLC0415
    from twintier.launch.roles import run_broker  # noqa: PLC0415

    if certs is None and bind != "127.0.0.1":
        raise typer.BadParameter("without --certs a broker is open to all: it stays on 127.0.0.1")
    secured = None if certs is None else Secured(certs, root, bind)
    chosen = port or (1883 if secured is None else 8883)
    match kind:
        case "auto" | "mosquitto" | "nats":
            raise typer.Exit(run_broker(kind, state / "broker", chosen, secured))
        case _:
            raise typer.BadParameter(f"{kind!r} is none of auto, mosquitto, nats")


@up.command("cloud")
def up_cloud(  # noqa: PLR0913  # one parameter an option
    *,
    url: Url = DEFAULT_URL,
    state: State = DEFAULT_STATE,
    root: Root = "twintier",
    ledgers: Ledgers = None,
    certs: Certs = None,
    inbox: Inbox = None,
    inject: Inject = "",
    seed: Seed = 1,
    expected_edges: Annotated[
        int, typer.Option(min=0, help="Edge servers that new twins wait for after a start, 10 s.")
    ] = 0,
    expected_plvns: Annotated[
        int, typer.Option(min=0, help="PLVNs that planning waits for; 0: until no more come.")
    ] = 0,
    planning_s: PlanningS = 90.0,
    n_min: NMin = 4,
) -> None:
    """Run the cloud twin."""
    from twintier.cloud_twin.settings import CloudSettings  # noqa: PLC0415
    from twintier.launch.roles import RoleOptions  # noqa: PLC0415
    from twintier.launch.twins import run_cloud  # noqa: PLC0415

    settings = CloudSettings(
        seed=seed,
        expected_edges=expected_edges,
        expected_plvns=expected_plvns,
        planning_s=planning_s,
        n_min=n_min,
    )
    role = RoleOptions(url, state, root, ledgers, certs, instruments_of(inbox, inject))
    raise typer.Exit(run_cloud(role, settings))


@up.command("edge")
def up_edge(  # noqa: PLR0913  # one parameter an option
    edge: Annotated[str, typer.Argument(help="Id of this edge server.")],
    *,
    url: Url = DEFAULT_URL,
    state: State = DEFAULT_STATE,
    root: Root = "twintier",
    ledgers: Ledgers = None,
    certs: Certs = None,
    inbox: Inbox = None,
    inject: Inject = "",
    seed: Seed = 1,
    lat: Annotated[float, typer.Option(min=-90, max=90, help="Where it stands, degrees.")] = 0.0,
    lon: Annotated[float, typer.Option(min=-180, max=180)] = 0.0,
    capacity: Annotated[int, typer.Option(min=1, help="Twins that it has room for.")] = 64,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes for jobs.")] = 1,
) -> None:
    """Run an edge server."""
    from twintier.edge_twin.settings import EdgeSettings  # noqa: PLC0415
    from twintier.launch.roles import RoleOptions  # noqa: PLC0415
    from twintier.launch.twins import run_edge  # noqa: PLC0415
    from twintier.protocol.errors import InvalidIdError  # noqa: PLC0415
    from twintier.protocol.ids import EdgeId, check_level  # noqa: PLC0415

    try:
        identity = EdgeId(check_level(edge))
    except InvalidIdError as error:
        raise typer.BadParameter(str(error)) from error
    settings = EdgeSettings(lat_deg=lat, lon_deg=lon, capacity=capacity, seed=seed)
    role = RoleOptions(url, state, root, ledgers, certs, instruments_of(inbox, inject))
    raise typer.Exit(run_edge(role, identity, settings, workers))


@up.command("agent")
def up_agent(  # noqa: PLR0913  # one parameter an option
    *,
    url: Url = DEFAULT_URL,
    state: State = DEFAULT_STATE,
    root: Root = "twintier",
    ledgers: Ledgers = None,
    certs: Certs = None,
    inbox: Inbox = None,
    inject: Inject = "",
    source: SourceName = "builtin",
    network: Annotated[
        str, typer.Option(help="berlin, braunschweig, or the path of a .sumocfg; sumo only.")
    ] = "berlin",
    plvns: Plvns = 4,
    rsus: Rsus = 4,
    seed: Seed = 1,
    speed: Speed = 50.0,
    start_hour: StartHour = 8.0,
    constant: Constant = False,
    demand_s: Annotated[
        float, typer.Option(min=1, help="Simulated seconds that demand must last; sumo only.")
    ] = 36_000.0,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Begin only when planning is over.")
    ] = True,
) -> None:
    """Run a source of vehicles and the agents of its PLVNs."""
    from twintier.launch.roles import RoleOptions, run_agents  # noqa: PLC0415
    from twintier.launch.sources import SourceOptions  # noqa: PLC0415

    options = SourceOptions(
        kind=source_kind(source),
        network=network,
        plvns=plvns,
        rsus=rsus,
        seed=seed,
        start_hour=start_hour,
        constant=constant,
        duration_sim_s=demand_s,
    )
    role = RoleOptions(url, state, root, ledgers, certs, instruments_of(inbox, inject))
    raise typer.Exit(run_agents(role, options, speed, wait_for_planning=wait))
