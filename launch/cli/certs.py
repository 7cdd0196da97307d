"""`twintier certs`: the folder of certificates of a deployment."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twintier.launch.cli.configured import configured, option
from twintier.launch.cli.options import Output, is_json

if TYPE_CHECKING:
    from twintier.launch.settings.resolve import Settings

certs = typer.Typer(
    help="Make, renew and show the certificates of a deployment.", no_args_is_help=True
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of certificates.")]
Edges = Annotated[list[str] | None, typer.Option("--edge", help="Id of an edge server.")]
PlvnIds = Annotated[list[str] | None, typer.Option("--plvn", help="Id of a PLVN.")]
Watchers = Annotated[
    list[str] | None, typer.Option("--watcher", help="Who may read all and write nothing.")
]
DAYS, HOSTS = option("certs.days"), option("certs.hosts", spelled="--host")


@certs.command("create")
@configured(DAYS, HOSTS)
def certs_create(
    settings: "Settings",
    folder: Folder,
    *,
    edge: Edges = None,
    plvn: PlvnIds = None,
    watcher: Watchers = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an old folder, its authority with it.")
    ] = False,
) -> int:
    """Make an authority, and certificates of broker, cloud twin and those who are named."""
    from twintier.broker.certs.folder import Identities, create  # noqa: PLC0415
    from twintier.launch.settings.own import CertsSettings  # noqa: PLC0415

    identities, chosen = (
        Identities(edge or (), plvn or (), watcher or ()),
        settings.of(CertsSettings),
    )

    def make() -> None:
        hosts, days = chosen.hosts, chosen.days
        made = create(folder, identities, now=_now(), hosts=hosts, days=days, force=force)
        print(f"{folder} holds an authority and certificates of {', '.join(made)}")
        print(f"keep {folder / 'ca.key'} where nobody else reads it")

    return _code_of(make)


@certs.command("add")
@configured(DAYS)
def certs_add(
    settings: "Settings",
    folder: Folder,
    *,
    edge: Edges = None,
    plvn: PlvnIds = None,
    watcher: Watchers = None,
) -> int:
    """Add identities under the authority that is there."""
    from twintier.broker.certs.folder import Identities, add  # noqa: PLC0415
    from twintier.launch.settings.own import CertsSettings  # noqa: PLC0415

    if not (edge or plvn or watcher):
        raise typer.BadParameter("name somebody with --edge, --plvn or --watcher")

    days = settings.of(CertsSettings).days

    def grow() -> None:
        identities = Identities(edge or (), plvn or (), watcher or ())
        print(f"added {', '.join(add(folder, identities, now=_now(), days=days))}")
        if edge or watcher:
            print("send SIGHUP to `twintier up broker` so that their access rules hold")

    return _code_of(grow)


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

    raise typer.Exit(_code_of(turn))


@certs.command("show")
def certs_show(
    folder: Folder,
    *,
    output: Output = "table",
) -> None:
    """Say whose certificates are there and how long they last; exit 10 if one must be renewed."""
    from twintier.launch.cli.certs_table import show  # noqa: PLC0415

    as_json = is_json(output)
    raise typer.Exit(_code_of(lambda: show(folder, _now(), as_json=as_json)))


def _code_of(action: Callable[[], int | None]) -> int:
    """Do something; its exit code, or that of the reason why it cannot be done."""
    from twintier.broker.errors import CertificateError  # noqa: PLC0415
    from twintier.launch.exit_codes import ExitCode  # noqa: PLC0415
    from twintier.launch.problems import say  # noqa: PLC0415

    try:
        return action() or ExitCode.OK
    except (CertificateError, OSError) as error:
        return say(error, ExitCode.USAGE)


def _now() -> datetime:
    return datetime.now(UTC)
