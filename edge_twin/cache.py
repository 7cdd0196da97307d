"""Meta models that an edge server has: fetched when a match asks for one, bounded. No I/O."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from twintier.edge_twin.cache_policies.port import CachePolicy, Use, Wanted
from twintier.edge_twin.keys import FetchRetry
from twintier.inmf.contract import Inmf
from twintier.learning.policy import Vector
from twintier.protocol.address import Address
from twintier.protocol.ids import EdgeId, InmfId
from twintier.protocol.messages import LibraryIndexed, MetaModelOffered, MetaModelRequested
from twintier.runtime.effects import Count, Effect, Publish, StartTimer


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A meta model as the edge server has it."""

    category: str
    version: int
    init: Vector
    """Where adaptation starts."""
    log_step_sizes: Vector
    prior: Vector | None = None
    """What acts before the first update; None where it is `init`."""

    @property
    def before_update(self) -> Vector:
        """Parameters to act by before the first update."""
        return self.init if self.prior is None else self.prior


@dataclass(slots=True)
class MetaModelCache:
    """The newest version of each meta model that twins here are matched with, and some more."""

    edge: EdgeId
    capacity: int
    retry_s: float
    policy: CachePolicy
    models: dict[Wanted, CachedModel] = field(default_factory=dict)
    uses: dict[Wanted, Use] = field(default_factory=dict)
    offers: int = 0

    def get(self, inmf: InmfId, category: str, version: int) -> CachedModel | None:
        """The model, if it is there in this version or a newer one."""
        cached = self.models.get((inmf, category))
        return None if cached is None or cached.version < version else cached

    def used(self, inmf: InmfId, category: str) -> None:
        """A twin is given a model that is there."""
        use = self.uses[inmf, category]
        self.uses[inmf, category] = replace(use, times=use.times + 1)

    def fetch(self, inmf: InmfId, category: str) -> list[Effect]:
        """Ask the cloud twin for a model, and again until it answers."""
        cached = self.models.get((inmf, category))
        request = MetaModelRequested(
            inmf=inmf, category=category, version=0 if cached is None else cached.version
        )
        retry = StartTimer(FetchRetry(inmf, category), self.retry_s)
        return [Publish(request, Address(edge=self.edge)), retry, Count("fetches")]

    def take(
        self, offered: MetaModelOffered, inmf: Inmf | None, size: int, in_use: Iterable[Wanted]
    ) -> bool:
        """Keep an offered model unless a newer one is there.

        Args:
            offered: by the cloud twin.
            inmf: whose model it is; None if it is not known here.
            size: numbers of a policy of the INMF.
            in_use: what twins are matched with, which is never forgotten to make room.

        Returns:
            Whether it is a model of this INMF at all.
        """
        arrays = offered.parameters.unpack()
        names = ("init", "log_step_sizes", *(["prior"] if "prior" in arrays else []))
        fits = all(name in arrays and arrays[name].shape == (size,) for name in names)
        if inmf is None or offered.schema_id != inmf.schema_id or not fits:
            return False
        key = (InmfId(offered.inmf), str(offered.category))
        present = self.models.get(key)
        if present is None or present.version < offered.version:
            self._make_room(frozenset(in_use))
            prior = arrays.get("prior")
            self.offers += 1
            times = self.uses[key].times if key in self.uses else 0
            self.uses[key] = Use(self.offers, times)
            self.models[key] = CachedModel(
                offered.category,
                offered.version,
                offered.parameters.floats("init"),
                offered.parameters.floats("log_step_sizes"),
                None if prior is None else np.asarray(prior, np.float32),
            )
        return True

    def indexed(self, indexed: LibraryIndexed) -> list[Effect]:
        """A newer version in the library makes the cached one stale."""
        if self.get(indexed.inmf, indexed.category, indexed.version) is not None:
            return []
        key = (indexed.inmf, str(indexed.category))
        self.uses.pop(key, None)
        return [] if self.models.pop(key, None) is None else [Count("cache_invalidated")]

    def _make_room(self, in_use: frozenset[Wanted]) -> None:
        """Forget models that no twin is matched with, as the policy says."""
        while len(self.models) >= self.capacity:
            candidates = {key: use for key, use in self.uses.items() if key not in in_use}
            if not candidates:
                return
            victim = self.policy.victim(candidates)
            del self.models[victim], self.uses[victim]
