"""The port of aggregators."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from twintier.learning.aggregate import Vector


@runtime_checkable
class Aggregator(Protocol):
    """A way to make one gradient of the rows of many twins."""

    @property
    def name(self) -> str:
        """As in settings."""
        ...

    def combine(self, rows: Mapping[str, Vector]) -> tuple[Vector, dict[str, str]]:
        """One gradient, and why rows were refused.

        Args:
            rows: gradient of each PLVN, (n,) float32 each; the order of arrival never matters.

        Returns:
            (n,) float32, zeros if every row was refused, and the reasons by id.

        Raises:
            SettingsError: if there is no row at all.
        """
        ...
