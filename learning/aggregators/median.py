"""The median of each number: half of the twins may be wrong (Yin et al., arXiv 1803.01498)."""

from collections.abc import Mapping

import numpy as np

from twintier.learning.aggregate import Vector, combined


class Median:
    """Refuses outliers, then takes the median of each number."""

    name = "median"

    def combine(self, rows: Mapping[str, Vector]) -> tuple[Vector, dict[str, str]]:
        """As the port has it."""
        return combined(rows, lambda kept: np.asarray(np.median(kept, axis=0)))
