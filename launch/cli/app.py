"""The command line. Each command imports what it needs when it runs, so that help is quick."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from twintier.launch.cli.bus import bus
from twintier.launch.cli.certs import certs as certs_app
from twintier.launch.cli.doctor import doctor
from twintier.launch.cli.options import (
    DEFAULT_URL,
    Certs,
    Constant,
    Identity,
    Inbox,
    Inject,
    NMin,
    PlanningS,
    Plvns,
    Root,
    Rsus,
    Seed,
    SourceName,
    Speed,
    StartHour,
    Url,
    instruments_of,
    quiet_logs,
    source_kind,
)
from twintier.launch.cli.replay import replay
from twintier.launch.cli.schema import schema
from twintier.launch.cli.up import up
from twintier.launch.problems import say_missing
from twintier.runtime.one_thread import use_one_thread

use_one_thread()

app = typer.Typer(
    name="twintier",
    help="Two tiers of digital twins that manage vehicular networks over a message bus.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(up, name="up")
app.add_typer(bus, name="bus")
app.command()(replay)
app.command()(doctor)
app.add_typer(certs_app, name="certs")
app.add_typer(schema, name="schema")


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
    from twintier.launch.demo.run import run_demo  # noqa: PLC0415
    from twintier.launch.demo.settings import DemoOptions  # noqa: PLC0415

    quiet_logs()
    instruments_of(inbox, inject)  # a mistake in them is said before anything starts
    options = DemoOptions(
        source=source_kind(source),
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
    from twintier.broker.errors import BrokerStartError  # noqa: PLC0415
    from twintier.launch.case_study.run import CaseStudyError, run  # noqa: PLC0415
    from twintier.launch.exit_codes import ExitCode  # noqa: PLC0415
    from twintier.launch.problems import say  # noqa: PLC0415

    quiet_logs()
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
    from twintier.launch.connection import Connection  # noqa: PLC0415
    from twintier.launch.inspect.watch import run_watch  # noqa: PLC0415

    if output not in {"text", "json"}:
        raise typer.BadParameter(f"{output!r} is neither text nor json")
    quiet_logs()
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
    from twintier.launch.connection import Connection  # noqa: PLC0415
    from twintier.launch.inspect.status import run_status  # noqa: PLC0415

    if output not in {"text", "json"}:
        raise typer.BadParameter(f"{output!r} is neither text nor json")
    quiet_logs()
    connection = Connection(url, certs, identity)
    raise typer.Exit(run_status(connection, root, seconds, as_json=output == "json"))


def _broker(name: str) -> str:
    if name not in {"auto", "mosquitto", "nats", "memory"} and not name.startswith("mqtt://"):
        raise typer.BadParameter(
            f"broker {name!r} is none of auto, mosquitto, nats, memory and no mqtt:// URL"
        )
    return name


def main() -> None:
    """The entry point of `twintier`.

    What must be kept is on disk by then, so the interpreter is not taken down part by part, which
    takes longer than all the rest of an end.
    """
    try:
        app()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except ModuleNotFoundError as error:
        code = say_missing(error)
    else:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
