"""What other packages add to learning, by entry points; what is wrong with one is a setting's."""

from twintier.inmf import plugins
from twintier.inmf.plugins import installed
from twintier.learning.errors import SettingsError


def made(group: str, name: str) -> object:
    """What the entry point of this name makes, called without arguments.

    Raises:
        SettingsError: if there is none, or its package cannot be loaded.
    """
    try:
        return plugins.made(group, name, installed(group))
    except plugins.PluginError as error:
        raise SettingsError(str(error)) from error
