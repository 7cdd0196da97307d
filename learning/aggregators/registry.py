"""Which aggregators are installed, by entry points of group `twintier.aggregator`."""

from functools import cache

from twintier.learning.aggregators.port import Aggregator
from twintier.learning.errors import SettingsError
from twintier.learning.plugins import made

GROUP = "twintier.aggregator"


@cache
def aggregator_of(name: str) -> Aggregator:
    """The aggregator of this name.

    Raises:
        SettingsError: if none is installed, or its package cannot be loaded.
    """
    aggregator = made(GROUP, name)
    if not isinstance(aggregator, Aggregator) or aggregator.name != name:
        raise SettingsError(f"entry point {name!r} of {GROUP} gives no aggregator of that name")
    return aggregator
