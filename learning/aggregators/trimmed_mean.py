"""The mean of each number without its extremes (Yin et al., arXiv 1803.01498)."""

from collections.abc import Mapping

import numpy as np

from twintier.learning.aggregate import Doubles, Vector, combined

TRIMMED_SHARE = 0.2
"""Share of the rows left out at each end of each number (assumed)."""


def trimmed(kept: Doubles) -> Doubles:
    """Mean of (rows, n) over the rows between the extremes, (n,)."""
    out = int(TRIMMED_SHARE * len(kept))
    middle = np.sort(kept, axis=0)[out : len(kept) - out]
    return np.asarray(middle.mean(axis=0))


class TrimmedMean:
    """Refuses outliers, then leaves the extremes of each number out of its mean."""

    name = "trimmed-mean"

    def combine(self, rows: Mapping[str, Vector]) -> tuple[Vector, dict[str, str]]:
        """As the port has it."""
        return combined(rows, trimmed)
