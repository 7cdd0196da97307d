"""The mean of the rows that can be trusted: the platform's default."""

from collections.abc import Mapping

from twintier.learning.aggregate import Vector, average_gradients


class Mean:
    """Refuses outliers, then takes the mean."""

    name = "mean"

    def combine(self, rows: Mapping[str, Vector]) -> tuple[Vector, dict[str, str]]:
        """As the port has it."""
        return average_gradients(rows)
