"""Meta models that an edge server has: fetched when a match asks for one, bounded. No I/O."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from twintier.edge_twin.keys import FetchRetry
from twintier.inmf.contract import Inmf
from twintier.learning.policy import Vector
from twintier.protocol.address import Address
from twintier.protocol.ids import EdgeId, InmfId
from twintier.protocol.messages import LibraryIndexed, MetaModelOffered, MetaModelRequested
from twintier.runtime.effects import Count, Effect, Publish, StartTimer

Wanted = tuple[InmfId, str]
"""INMF and category."""


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
    models: dict[Wanted, CachedModel] = field(default_factory=dict)

    def get(self, inmf: InmfId, category: str, version: int) -> CachedModel | None:
        """The model, if it is there in this version or a newer one."""
        cached = self.models.get((inmf, category))
        return None if cached is None or cached.version < version else cached

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
        stale = self.models.pop((indexed.inmf, str(indexed.category)), None)
        return [] if stale is None else [Count("cache_invalidated")]

    def _make_room(self, in_use: frozenset[Wanted]) -> None:
        """Forget models that no twin is matched with, the oldest first."""
        while len(self.models) >= self.capacity:
            victim = next((key for key in self.models if key not in in_use), None)
            if victim is None:
                return
            del self.models[victim]
