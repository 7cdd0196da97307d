"""What is told of the library: which model fits a PLVN, what there is, the model. No I/O."""

from twintier.cloud_twin.categories import Lattice, candidates
from twintier.cloud_twin.library import Library, MetaModel
from twintier.cloud_twin.meta_training import MetaParameters
from twintier.cloud_twin.registry import Registry
from twintier.protocol.address import Address
from twintier.protocol.ids import CategoryKey, EdgeId, InmfId, PlvnId
from twintier.protocol.messages import (
    CategoryAssigned,
    LibraryIndexed,
    MetaModelMatch,
    MetaModelMissing,
    MetaModelOffered,
    MetaModelRequested,
)
from twintier.protocol.tensors import Tensors
from twintier.protocol.topics import category_digest
from twintier.runtime.effects import Effect, Publish


def tensors_of(model: MetaParameters) -> Tensors:
    """A meta model as it crosses the bus."""
    return Tensors.pack(model.arrays())


class Librarian:
    """Answers categories with matches, and requests with models."""

    def __init__(self, registry: Registry, library: Library, lattice: Lattice) -> None:
        self.registry = registry
        self.library = library
        self.lattice = lattice

    def assign(self, plvn: PlvnId, *, known: bool = True) -> list[Effect]:
        """Answer a category, or tell of a better match; nothing if all is as last sent."""
        record = self.registry.plvns[plvn]
        if record.category is None:
            return []
        matches = tuple(
            match
            for inmf in record.requested_inmfs
            if (match := self._match(inmf, record.category)) is not None
        )
        if self.registry.sent_matches.get(plvn) == matches:
            return []
        self.registry.sent_matches[plvn] = matches
        version = self.registry.category_versions.get(plvn, 0) + 1
        self.registry.category_versions[plvn] = version
        assigned = CategoryAssigned(
            category=record.category, known=known, category_version=version, matches=matches
        )
        to = Address(plvn=plvn, edge=record.edge)
        return [Publish(assigned, to, fence=record.fence)]

    def _match(self, inmf: InmfId, category: CategoryKey) -> MetaModelMatch | None:
        sizes = {c: len(plvns) for c, plvns in self.lattice.members.items()}
        ranked = candidates(category, self.library.available(inmf), sizes)
        if not ranked:
            return None
        model = self.library.models[inmf, ranked[0].category]
        name = model.category or "super model"
        reason = f"{name} is the least general of {len(ranked)} trained categories that contain it"
        return MetaModelMatch(
            inmf=inmf,
            category=model.category,
            version=model.version,
            model=model.model,
            candidates=tuple(m.category for m in ranked),
            reason=reason,
        )

    def offer(self, edge: EdgeId, request: MetaModelRequested, cid: bytes) -> Publish:
        """Answer an edge server that asks for a model."""
        to = Address(edge=edge, inmf=request.inmf)
        model = self.library.get(request.inmf, CategoryKey(request.category))
        if model is None:
            known = CategoryKey(request.category) in self.lattice.members
            missing = MetaModelMissing(
                inmf=request.inmf,
                category=request.category,
                code="not_trained" if known else "unknown_category",
                reason=f"no meta model of {request.inmf} for {request.category or 'super'}",
            )
            return Publish(missing, to, cid=cid)
        offered = MetaModelOffered(
            inmf=model.inmf,
            category=model.category,
            version=model.version,
            model=model.model,
            schema_id=model.schema_id,
            parameters=tensors_of(model.weights),
        )
        return Publish(offered, to, cid=cid)

    def announce(self) -> list[Effect]:
        """Say of every model that it is there."""
        return [self.indexed(model) for model in self.library.models.values()]

    @staticmethod
    def indexed(model: MetaModel) -> Publish:
        """What the library says of a model, retained."""
        indexed = LibraryIndexed(
            inmf=model.inmf,
            category=model.category,
            version=model.version,
            model=model.model,
            iterations=model.iterations,
            adaptation_reward_first=model.adaptation_reward_first,
            adaptation_reward_last=model.adaptation_reward_last,
        )
        digest = category_digest(model.category)
        return Publish(indexed, Address(inmf=model.inmf, category_digest=digest))
