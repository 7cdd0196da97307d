"""Which INMFs are installed: ours and those of other packages, by entry points.

Group `twintier.inmf`; the name of an entry point is the id of the INMF, its value a class or a
function without arguments that gives one. Nothing is imported before it is asked for.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from twintier.inmf.contract import Inmf

GROUP = "twintier.inmf"


class UnknownInmfError(LookupError):
    """No installed package has an INMF of this id."""


def installed() -> dict[str, EntryPoint]:
    """Entry points of all INMFs by id."""
    return {each.name: each for each in entry_points(group=GROUP)}


@cache
def inmf_of(name: str) -> Inmf:
    """The INMF of this id.

    Raises:
        UnknownInmfError: if none is installed, or its package cannot be loaded.
    """
    found = installed().get(name)
    if found is None:
        there = ", ".join(sorted(installed())) or "none"
        raise UnknownInmfError(f"INMF {name!r} is not installed; there are: {there}")
    try:
        made: object = found.load()()
    except Exception as error:  # whatever a package raises costs this INMF only
        raise UnknownInmfError(
            f"INMF {name!r} of {found.value} cannot be loaded: {error}"
        ) from error
    if not isinstance(made, Inmf) or made.spec.inmf != name:
        raise UnknownInmfError(f"{found.value} is no INMF of the id {name!r}")
    return made


def is_known(name: str) -> bool:
    """Whether an INMF of this id is installed and can be loaded."""
    try:
        inmf_of(name)
    except UnknownInmfError:
        return False
    return True
