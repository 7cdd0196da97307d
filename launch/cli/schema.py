"""`twintier schema`: what a client in another language is written from."""

from pathlib import Path
from typing import Annotated

import typer

schema = typer.Typer(help="What crosses the wire, for other programs.", no_args_is_help=True)


@schema.callback()
def _schema() -> None:
    """Keep `export` a command of its own, also while it is the only one."""


@schema.command("export")
def export(
    out: Annotated[
        Path | None, typer.Argument(help="File to write; standard output if none.")
    ] = None,
    *,
    asyncapi: Annotated[bool, typer.Option("--asyncapi", help="AsyncAPI 3, as JSON.")] = False,
    jsonschema: Annotated[
        bool, typer.Option("--jsonschema", help="JSON Schemas of envelope and bodies.")
    ] = False,
    acl: Annotated[bool, typer.Option("--acl", help="Access rules for Mosquitto.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The protocol page.")] = False,
    edge: Annotated[list[str] | None, typer.Option(help="Edge server; for --acl.")] = None,
    root: Annotated[str, typer.Option(help="Root of all topics.")] = "twintier",
) -> None:
    """Write one of the documents that follow from the catalogue."""
    from twintier.broker.servers.acl import access_rules  # noqa: PLC0415
    from twintier.launch.files import UnwritableError, check_writable  # noqa: PLC0415
    from twintier.protocol import asyncapi as document  # noqa: PLC0415
    from twintier.protocol.document import page  # noqa: PLC0415
    from twintier.protocol.errors import InvalidIdError  # noqa: PLC0415
    from twintier.protocol.ids import EdgeId  # noqa: PLC0415

    try:
        check_writable(out)
    except UnwritableError as error:
        raise typer.BadParameter(str(error)) from error
    if asyncapi + jsonschema + acl + markdown != 1:
        raise typer.BadParameter("choose one of --asyncapi, --jsonschema, --acl, --markdown")
    try:
        if asyncapi:
            text = document.text(root)
        elif jsonschema:
            text = document.schemas_text()
        elif acl:
            text = access_rules([EdgeId(name) for name in edge or ()], root)
        else:
            text = page()
    except InvalidIdError as error:
        raise typer.BadParameter(str(error)) from error
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
