"""Which INMFs are installed: ours and those of other packages, by entry points.

Group `twintier.inmf`; the name of an entry point is the id of the INMF, its value a class or a
function without arguments that gives one. Nothing is imported before it is asked for.
"""

from functools import cache
from importlib.metadata import EntryPoint

from twintier.inmf import plugins
from twintier.inmf.contract import Inmf

GROUP = "twintier.inmf"


class UnknownInmfError(LookupError):
    """No installed package has an INMF of this id."""


def installed() -> dict[str, EntryPoint]:
    """Entry points of all INMFs by id."""
    return plugins.installed(GROUP)


@cache
def inmf_of(name: str) -> Inmf:
    """The INMF of this id.

    Raises:
        UnknownInmfError: if none is installed, its package cannot be loaded, or it lacks what every
            INMF must state.
    """
    among = installed()
    try:
        made = plugins.made("INMF", name, among)
    except plugins.PluginError as error:
        raise UnknownInmfError(str(error)) from error
    value = among[name].value
    if not isinstance(made, Inmf) or _id_of(made, value) != name:
        raise UnknownInmfError(f"{value} is no INMF of the id {name!r}")
    return made


def _id_of(made: Inmf, value: str) -> str:
    """The id of an INMF whose spec and fields can be named."""
    try:
        return made.schema_id and made.spec.inmf
    except Exception as error:  # whatever a package raises costs this INMF only
        raise UnknownInmfError(f"{value} does not state its spec and fields: {error}") from error


def is_known(name: str) -> bool:
    """Whether an INMF of this id is installed and can be loaded."""
    try:
        inmf_of(name)
    except UnknownInmfError:
        return False
    return True
