"""Options that several commands take, and what every listening command does first."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

DEFAULT_URL = "mqtt://127.0.0.1:1883"
DEFAULT_STATE = Path("state")

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
State = Annotated[Path, typer.Option(help="Folder of stores; roles of one machine may share it.")]
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


if TYPE_CHECKING:
    from twintier.launch.instruments import Instruments


def instruments_of(inbox: Path | None, inject: str) -> "Instruments":
    """Recordings and faults that were asked for.

    Raises:
        typer.BadParameter: if the faults cannot be read.
    """
    from twintier.broker.errors import LocalBusError  # noqa: PLC0415
    from twintier.launch.instruments import make_instruments  # noqa: PLC0415

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
    from twintier.runtime.logs import configure_logs  # noqa: PLC0415

    configure_logs(level=level)


def source_kind(name: str) -> Literal["builtin", "sumo"]:
    """The source by its name.

    Raises:
        typer.BadParameter: if there is none of that name.
    """
    match name:
        case "builtin" | "sumo":
            return name
        case _:
            raise typer.BadParameter(f"source {name!r} is neither builtin nor sumo")
