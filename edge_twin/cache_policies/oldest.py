"""Forget what was offered first: the platform's default."""

from collections.abc import Mapping

from twintier.edge_twin.cache_policies.port import Use, Wanted


class Oldest:
    """By the order in which models came."""

    name = "oldest"

    def victim(self, candidates: Mapping[Wanted, Use]) -> Wanted:
        """As the port has it."""
        return min(candidates, key=lambda wanted: candidates[wanted].taken)
