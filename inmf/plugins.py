"""What other packages add to the platform, by entry points: one rule for all groups.

Nothing is imported before it is asked for, and whatever a package does then costs its own name
only.
"""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points


class PluginError(LookupError):
    """Nothing of this name is installed, or its package cannot be loaded."""


def installed(group: str) -> dict[str, EntryPoint]:
    """Entry points of a group by name."""
    return {each.name: each for each in entry_points(group=group)}


def made(kind: str, name: str, among: Mapping[str, EntryPoint]) -> object:
    """What the entry point of this name makes, called without arguments.

    Args:
        kind: what it is, for the message, such as `source`.
        name: of the one that is asked for.
        among: what is installed.

    Raises:
        PluginError: if there is none, or its package cannot be loaded.
    """
    found = among.get(name)
    if found is None:
        there = ", ".join(sorted(among)) or "none"
        raise PluginError(f"{kind} {name!r} is not installed; there are: {there}")
    try:
        result: object = found.load()()
    except (Exception, SystemExit) as error:  # a module that is a script may end the process
        reason = str(error) or type(error).__name__
        raise PluginError(f"{kind} {name!r} of {found.value} cannot be loaded: {reason}") from error
    return result
