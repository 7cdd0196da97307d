"""`twintier inmf check`: an INMF held to the contract, whoever has written it."""

from dataclasses import asdict

from twintier.inmf.check import check
from twintier.inmf.registry import UnknownInmfError, inmf_of, installed
from twintier.launch.exit_codes import ExitCode
from twintier.launch.inspect.output import print_rows, show_one
from twintier.launch.inspect.rows import inmf_rows
from twintier.launch.problems import say

COLUMNS = ("name", "ok", "what")


def check_inmf(name: str, *, as_json: bool) -> int:
    """Print what each check finds.

    Args:
        name: of an installed INMF.
        as_json: for programs.

    Returns:
        The exit code.
    """
    if name not in installed():
        return show_one(inmf_rows(), "inmf", name, as_json=as_json)
    try:
        findings = check(inmf_of(name))
    except UnknownInmfError as error:
        return say(error, ExitCode.CONTRACT)
    print_rows([asdict(each) for each in findings], COLUMNS, as_json=as_json)
    broken = sum(not each.ok for each in findings)
    if broken:
        return say(f"{name} fails {broken} of {len(findings)} checks", ExitCode.CONTRACT)
    return ExitCode.OK
