"""`twintier certs`: the folder of certificates of a deployment."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

certs = typer.Typer(
    help="Make, renew and show the certificates of a deployment.", no_args_is_help=True
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of certificates.")]
Edges = Annotated[list[str] | None, typer.Option("--edge", help="Id of an edge server.")]
PlvnIds = Annotated[list[str] | None, typer.Option("--plvn", help="Id of a PLVN.")]
Watchers = Annotated[
    list[str] | None, typer.Option("--watcher", help="Who may read all and write nothing.")
]
Days = Annotated[int, typer.Option(min=1, max=3650, help="Days that certificates are good for.")]


@certs.command("create")
def certs_create(
    folder: Folder,
    *,
    edge: Edges = None,
    plvn: PlvnIds = None,
    watcher: Watchers = None,
    host: Annotated[
        list[str] | None, typer.Option(help="Name or address of the broker, beside localhost.")
    ] = None,
    days: Days = 365,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an old folder, its authority with it.")
    ] = False,
) -> None:
    """Make an authority, and certificates of broker, cloud twin and those who are named."""
    from twintier.broker.certs.folder import Identities, create  # noqa: PLC0415

    identities = Identities(edge or (), plvn or (), watcher or ())

    def make() -> None:
        made = create(folder, identities, now=_now(), hosts=host or (), days=days, force=force)
        print(f"{folder} holds an authority and certificates of {', '.join(made)}")
        print(f"keep {folder / 'ca.key'} where nobody else reads it")

    _run(make)


@certs.command("add")
def certs_add(
    folder: Folder,
    *,
    edge: Edges = None,
    plvn: PlvnIds = None,
    watcher: Watchers = None,
    days: Days = 365,
) -> None:
    """Add identities under the authority that is there."""
    from twintier.broker.certs.folder import Identities, add  # noqa: PLC0415

    if not (edge or plvn or watcher):
        raise typer.BadParameter("name somebody with --edge, --plvn or --watcher")

    def grow() -> None:
        identities = Identities(edge or (), plvn or (), watcher or ())
        print(f"added {', '.join(add(folder, identities, now=_now(), days=days))}")
        if edge or watcher:
            print("send SIGHUP to `twintier up broker` so that their access rules hold")

    _run(grow)


@certs.command("rotate")
def certs_rotate(
    folder: Folder,
    *,
    ca: Annotated[
        bool, typer.Option("--ca", help="First step of a new authority: trust it and the old one.")
    ] = False,
    drop_old_ca: Annotated[
        bool, typer.Option("--drop-old-ca", help="Last step of a new authority.")
    ] = False,
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Days; else as long as each was good for.")
    ] = None,
) -> None:
    """Renew all certificates and their keys; or, with --ca and --drop-old-ca, the authority."""
    from twintier.broker.certs.folder import drop_old_authority, rotate, rotate_authority  # noqa: PLC0415

    if ca and drop_old_ca:
        raise typer.BadParameter("--ca begins a rotation and --drop-old-ca ends it; give one")

    def turn() -> None:
        if ca:
            rotate_authority(folder, now=_now())
            print("both authorities are trusted; bring ca.pem to every machine, restart the")
            print(f"broker, then `twintier certs rotate {folder}`")
        elif drop_old_ca:
            drop_old_authority(folder)
            print("one authority is trusted; bring ca.pem to every machine, restart the broker")
        else:
            print(f"renewed {', '.join(rotate(folder, now=_now(), days=days))}")
            print("send SIGHUP to `twintier up broker`; clients follow as they reconnect")

    _run(turn)


@certs.command("show")
def certs_show(
    folder: Folder,
    *,
    output: Annotated[str, typer.Option("-o", "--output", help="text or json.")] = "text",
) -> None:
    """Say whose certificates are there and how long they last; exit 10 if one must be renewed."""
    from twintier.launch.cli.certs_table import show  # noqa: PLC0415

    if output not in {"text", "json"}:
        raise typer.BadParameter(f"{output!r} is neither text nor json")
    _run(lambda: show(folder, _now(), as_json=output == "json"))


def _run(action: Callable[[], int | None]) -> None:
    """Do something and exit with its code, or with the reason why it cannot be done."""
    from twintier.broker.errors import CertificateError  # noqa: PLC0415
    from twintier.launch.exit_codes import ExitCode  # noqa: PLC0415
    from twintier.launch.problems import say  # noqa: PLC0415

    try:
        raise typer.Exit(action() or ExitCode.OK)
    except (CertificateError, OSError) as error:
        raise typer.Exit(say(error, ExitCode.USAGE)) from error


def _now() -> datetime:
    return datetime.now(UTC)
