"""Forget what twins were given least often, the older one of equals."""

from collections.abc import Mapping

from twintier.edge_twin.cache_policies.port import Use, Wanted


class LeastUsed:
    """By popularity (the paper's policy keeps the most popular models)."""

    name = "least-used"

    def victim(self, candidates: Mapping[Wanted, Use]) -> Wanted:
        """As the port has it."""
        return min(candidates, key=lambda w: (candidates[w].times, candidates[w].taken))
