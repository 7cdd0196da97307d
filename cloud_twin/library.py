"""The library of meta models: the newest version of each INMF and category. No I/O."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from twintier.cloud_twin.categories import Available
from twintier.cloud_twin.meta_training import MetaParameters
from twintier.protocol.ids import CategoryKey, InmfId, ModelId


@dataclass(frozen=True, slots=True)
class MetaModel:
    """A trained meta model with its lineage."""

    inmf: InmfId
    category: CategoryKey
    version: int
    model: ModelId
    schema_id: str
    ancestor: CategoryKey
    """Category of the model that its training started from."""
    iterations: int
    adaptation_reward_first: float
    adaptation_reward_last: float
    weights: MetaParameters


@dataclass(slots=True)
class Library:
    """Newest meta model by INMF and category; older versions stay on disk."""

    models: dict[tuple[InmfId, CategoryKey], MetaModel] = field(default_factory=dict)

    def add(self, model: MetaModel) -> bool:
        """Take a model in unless a newer version is there; returns whether it was taken."""
        present = self.models.get((model.inmf, model.category))
        if present is not None and present.version >= model.version:
            return False
        self.models[model.inmf, model.category] = model
        return True

    def get(self, inmf: InmfId, category: CategoryKey) -> MetaModel | None:
        """The newest model of exactly this category."""
        return self.models.get((inmf, category))

    def next_version(self, inmf: InmfId, category: CategoryKey) -> int:
        """The version that a new model of the category shall have; the first is 1."""
        present = self.models.get((inmf, category))
        return 1 if present is None else present.version + 1

    def available(self, inmf: InmfId) -> Iterable[Available]:
        """What may be matched for an INMF."""
        return [
            Available(m.category, m.version, m.adaptation_reward_last)
            for m in self.models.values()
            if m.inmf == inmf
        ]
