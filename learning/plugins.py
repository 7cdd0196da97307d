"""What other packages add to learning, by entry points: one rule for all groups."""

from importlib.metadata import EntryPoint, entry_points

from twintier.learning.errors import SettingsError


def installed(group: str) -> dict[str, EntryPoint]:
    """Entry points of a group by name."""
    return {each.name: each for each in entry_points(group=group)}


def made(group: str, name: str) -> object:
    """What the entry point of this name makes, called without arguments.

    Raises:
        SettingsError: if there is none, or its package cannot be loaded.
    """
    found = installed(group).get(name)
    if found is None:
        there = ", ".join(sorted(installed(group))) or "none"
        raise SettingsError(f"{name!r} is not installed in {group}; there are: {there}")
    try:
        result: object = found.load()()
    except Exception as error:  # whatever a package raises is this setting's fault only
        raise SettingsError(f"{name!r} of {found.value} cannot be loaded: {error}") from error
    return result
