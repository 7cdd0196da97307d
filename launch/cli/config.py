"""`twintier config`: what is set, and where it was set."""

from typing import TYPE_CHECKING, Annotated

import typer

from twintier.launch.cli.configured import configured
from twintier.launch.cli.options import Output, is_json

if TYPE_CHECKING:
    from twintier.launch.settings.resolve import Settings

config = typer.Typer(
    help="Settings: what they are, and where they come from.", no_args_is_help=True
)


@config.command("show")
@configured()
def config_show(
    settings: "Settings",
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A setting, or the beginning of several.")
    ] = "",
    *,
    origin: Annotated[bool, typer.Option("--origin", help="Say who set each value.")] = False,
    output: Output = "table",
) -> int:
    """Show every setting with its value and meaning."""
    from twintier.launch.inspect.output import print_rows  # noqa: PLC0415
    from twintier.launch.inspect.settings import setting_rows  # noqa: PLC0415

    as_json = is_json(output)
    columns = ("name", "value", "origin") if origin else ("name", "value", "meaning")
    return print_rows(setting_rows(settings, name), columns, as_json=as_json)


@config.command("check")
@configured()
def config_check(settings: "Settings", *, output: Output = "table") -> int:
    """Look whether file, environment and options can be used as they are."""
    from twintier.launch.exit_codes import ExitCode  # noqa: PLC0415
    from twintier.launch.inspect.output import print_one  # noqa: PLC0415

    as_json = is_json(output)
    changed = [each.path for each in settings.origins() if each.origin != "default"]
    if as_json:
        return print_one({"good": True, "changed": changed}, as_json=True)
    print(f"settings are good; {len(changed)} are not as by default")
    return ExitCode.OK
