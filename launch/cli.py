"""The command line. Each command imports what it needs when it runs, so that help is quick."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from broker.one_thread import use_one_thread
from launch.cli_bus import bus
from launch.cli_certs import certs as certs_app
from launch.cli_doctor import doctor
from launch.cli_options import Certs, Identity, Inbox, Inject, Url, instruments_of
from launch.cli_replay import replay
from launch.cli_schema import schema

use_one_thread()

app = typer.Typer(
    name="twintier",
    help="Two tiers of digital twins that manage vehicular networks over a message bus.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
up = typer.Typer(help="Run one role in this process.", no_args_is_help=True)
app.add_typer(up, name="up")
app.add_typer(bus, name="bus")
app.command()(replay)
app.command()(doctor)
app.add_typer(certs_app, name="certs")
app.add_typer(schema, name="schema")

State = Annotated[Path, typer.Option(help="Folder of stores; roles of one machine may share it.")]
Root = Annotated[str, typer.Option(help="Root of all topics.")]
Ledgers = Annotated[Path | None, typer.Option(help="Folder for accounts of messages.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Speed = Annotated[float, typer.Option(min=0.01, help="Simulated seconds a second.")]
Rsus = Annotated[int, typer.Option(min=1, max=64, help="RSUs, so PLVNs, a network.")]
Plvns = Annotated[int, typer.Option(min=1, max=256, help="Built-in PLVNs.")]
Constant = Annotated[
    bool, typer.Option("--constant", help="Demand and hidden conditions stay as they are.")
]
StartHour = Annotated[float, typer.Option(min=0, max=23.99, help="Civil hour of the begin.")]
SourceName = Annotated[str, typer.Option(help="builtin or sumo.")]
PlanningS = Annotated[float, typer.Option(min=0, help="Longest offline planning, wall seconds.")]
NMin = Annotated[int, typer.Option(min=1, help="PLVNs before a category gets a meta model.")]

DEFAULT_URL = "mqtt://127.0.0.1:1883"
DEFAULT_STATE = Path("state")


@app.command()
def demo(  # noqa: PLR0913  # one parameter an option
    *,
    source: SourceName = "sumo",
    plvns: Plvns = 4,
    scenario: Annotated[
        Path | None, typer.Option(help="A geo-referenced .sumocfg instead of the two cities.")
    ] = None,
    broker: Annotated[
        str, typer.Option(help="auto, mosquitto, nats, memory, or mqtt://host:port.")
    ] = "auto",
    duration: Annotated[
        float | None, typer.Option(min=1, help="Wall seconds of online operation; else Ctrl-C.")
    ] = None,
    speed: Speed = 50.0,
    rsus: Rsus = 4,
    constant: Constant = False,
    seed: Seed = 1,
    start_hour: StartHour = 8.0,
    summary: Annotated[Path | None, typer.Option(help="Write a JSON summary here.")] = None,
    state: Annotated[Path | None, typer.Option(help="Keep stores and logs here.")] = None,
    planning_s: PlanningS = 90.0,
    n_min: NMin = 4,
    secure: Annotated[
        bool, typer.Option("--secure", help="Mosquitto with TLS, certificates and access rules.")
    ] = False,
    inbox: Inbox = None,
    inject: Inject = "",
) -> None:
    """Run the whole platform: broker, cloud twin, edge servers, agents and a live table."""
    from launch.demo import run_demo  # noqa: PLC0415
    from launch.options import DemoOptions  # noqa: PLC0415

    _quiet_logs()
    instruments_of(inbox, inject)  # a mistake in them is said before anything starts
    options = DemoOptions(
        source=_source_kind(source),
        plvns=plvns,
        scenario=scenario,
        broker=_broker(broker),
        duration_s=duration,
        speed=speed,
        rsus=rsus,
        constant=constant,
        seed=seed,
        start_hour=start_hour,
        summary=summary,
        state=state,
        planning_s=planning_s,
        n_min=n_min,
        secure=secure,
        inbox=inbox,
        inject=inject,
    )
    raise typer.Exit(run_demo(options))


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
    from broker.mosquitto import Secured  # noqa: PLC0415
    from launch.roles import run_broker  # noqa: PLC0415

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
    from cloud_twin.settings import CloudSettings  # noqa: PLC0415
    from launch.roles import RoleOptions, run_cloud  # noqa: PLC0415

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
    from edge_twin.settings import EdgeSettings  # noqa: PLC0415
    from launch.roles import RoleOptions, run_edge  # noqa: PLC0415
    from protocol.errors import InvalidIdError  # noqa: PLC0415
    from protocol.ids import EdgeId, check_level  # noqa: PLC0415

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
    from launch.roles import RoleOptions, run_agents  # noqa: PLC0415
    from launch.sources import SourceOptions  # noqa: PLC0415

    options = SourceOptions(
        kind=_source_kind(source),
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


@app.command("case-study")
def case_study(
    *,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of each arm on task 1.")] = 500,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each arm, from 0.")] = 10,
    out: Annotated[
        Path, typer.Option(help="Folder of results; a run stopped there goes on.")
    ] = Path("case-study"),
    over_bus: Annotated[
        str | None, typer.Option(help="Meta training over memory, auto, or mqtt://host:port.")
    ] = None,
) -> None:
    """Compute Fig. 6 of the paper: curves, summary and picture."""
    from broker.errors import BrokerStartError  # noqa: PLC0415
    from launch.case_study import CaseStudyError, run  # noqa: PLC0415
    from launch.exit_codes import ExitCode  # noqa: PLC0415
    from launch.problems import say  # noqa: PLC0415

    _quiet_logs()
    try:
        run(epochs=epochs, seeds=seeds, out=out, over_bus=over_bus)
    except CaseStudyError as error:
        raise typer.Exit(say(error, ExitCode.USAGE)) from error
    except BrokerStartError as error:
        raise typer.Exit(say(error, ExitCode.NO_BROKER)) from error


@app.command()
def watch(
    topic_filter: Annotated[
        str, typer.Argument(metavar="FILTER", help="MQTT filter below the root's v1/.")
    ] = "#",
    *,
    url: Url = DEFAULT_URL,
    root: Root = "twintier",
    output: Annotated[str, typer.Option("-o", "--output", help="text or json.")] = "text",
    count: Annotated[int, typer.Option(min=0, help="End after this many; 0 never.")] = 0,
    certs: Certs = None,
    identity: Identity = "monitor",
) -> None:
    """Print messages as they pass, a line each."""
    from launch.connection import Connection  # noqa: PLC0415
    from launch.watch import run_watch  # noqa: PLC0415

    if output not in {"text", "json"}:
        raise typer.BadParameter(f"{output!r} is neither text nor json")
    _quiet_logs()
    connection = Connection(url, certs, identity)
    as_json = output == "json"
    raise typer.Exit(run_watch(connection, root, topic_filter, as_json=as_json, count=count))


@app.command()
def status(
    *,
    url: Url = DEFAULT_URL,
    root: Root = "twintier",
    seconds: Annotated[float, typer.Option(min=0.5, help="How long to listen.")] = 2.5,
    output: Annotated[str, typer.Option("-o", "--output", help="text or json.")] = "text",
    certs: Certs = None,
    identity: Identity = "monitor",
) -> None:
    """Listen for a moment and say who is there, what acts, and what was refused."""
    from launch.connection import Connection  # noqa: PLC0415
    from launch.status import run_status  # noqa: PLC0415

    if output not in {"text", "json"}:
        raise typer.BadParameter(f"{output!r} is neither text nor json")
    _quiet_logs()
    connection = Connection(url, certs, identity)
    raise typer.Exit(run_status(connection, root, seconds, as_json=output == "json"))


def _source_kind(name: str) -> Literal["builtin", "sumo"]:
    match name:
        case "builtin" | "sumo":
            return name
        case _:
            raise typer.BadParameter(f"source {name!r} is neither builtin nor sumo")


def _broker(name: str) -> str:
    if name not in {"auto", "mosquitto", "nats", "memory"} and not name.startswith("mqtt://"):
        raise typer.BadParameter(
            f"broker {name!r} is none of auto, mosquitto, nats, memory and no mqtt:// URL"
        )
    return name


def _quiet_logs() -> None:
    from broker.observe import configure_logs  # noqa: PLC0415

    configure_logs(level="error")


def main() -> None:
    """The entry point of `twintier`.

    What must be kept is on disk by then, so the interpreter is not taken down part by part, which
    takes longer than all the rest of an end.
    """
    try:
        app()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
