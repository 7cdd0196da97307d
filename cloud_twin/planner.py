"""What is trained when: offline planning first, then whatever new categories ask for. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from twintier.cloud_twin.categories import Lattice, candidates
from twintier.cloud_twin.library import Library, MetaModel
from twintier.cloud_twin.meta_training import MetaParameters, Training
from twintier.cloud_twin.round_states import RoundEvent
from twintier.cloud_twin.settings import CloudSettings
from twintier.learning.aggregate import MetaOptimizer
from twintier.protocol.ids import SUPER_CATEGORY, CategoryKey, InmfId
from twintier.protocol.tensors import model_id

Phase = Literal["planning", "online"]


@dataclass(frozen=True, slots=True)
class Blueprint:
    """An INMF's policy before any training: where the super model starts."""

    schema_id: str
    initial: MetaParameters


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """A checkpoint of a training, so that a restart resumes it."""

    inmf: InmfId
    category: CategoryKey
    iteration: int
    rewards: tuple[float, ...]
    model: MetaParameters
    optimizer: Mapping[str, npt.NDArray[np.floating]]


@dataclass(slots=True)
class Planner:
    """Opens trainings for categories that have none yet, and closes them into the library."""

    settings: CloudSettings
    blueprints: Mapping[InmfId, Blueprint]
    library: Library
    lattice: Lattice
    trainings: dict[str, Training] = field(default_factory=dict)
    checkpoints: dict[tuple[InmfId, CategoryKey], TrainingRecord] = field(default_factory=dict)
    opened: int = 0

    def wanted(self) -> list[tuple[InmfId, CategoryKey]]:
        """Models that are missing and not on their way; the super model comes before all others."""
        settings = self.settings
        under_way = {(t.inmf, t.category) for t in self.trainings.values()}
        missing: list[tuple[InmfId, CategoryKey]] = []
        for inmf in sorted(self.blueprints):
            chosen = self.lattice.trainable(n_min=settings.n_min, max_level=settings.max_level)
            if self.library.get(inmf, SUPER_CATEGORY) is None:
                chosen = [c for c in chosen if c == SUPER_CATEGORY]
            missing += [
                (inmf, c)
                for c in chosen
                if self.library.get(inmf, c) is None and (inmf, c) not in under_way
            ]
        return missing

    def open_trainings(self) -> list[Training]:
        """Start as many of the wanted trainings as may run side by side."""
        room = self.settings.parallel_trainings - len(self.trainings)
        fresh = [self._open(inmf, category) for inmf, category in self.wanted()[: max(room, 0)]]
        self.trainings.update({training.job: training for training in fresh})
        return fresh

    def close_training(self, job: str) -> MetaModel:
        """Take a training's model into the library."""
        training = self.trainings.pop(job)
        training.on(RoundEvent.FINISHED)
        first, last = training.first_and_last()
        schema_id = self.blueprints[training.inmf].schema_id
        model = MetaModel(
            inmf=training.inmf,
            category=training.category,
            version=self.library.next_version(training.inmf, training.category),
            model=model_id(schema_id, training.model.parameters),
            schema_id=schema_id,
            ancestor=training.ancestor,
            iterations=training.iteration,
            adaptation_reward_first=first,
            adaptation_reward_last=last,
            weights=training.model,
        )
        self.library.add(model)
        self.checkpoints.pop((training.inmf, training.category), None)
        return model

    def checkpoint(self, training: Training) -> TrainingRecord:
        """What a restart needs to go on with a training."""
        return TrainingRecord(
            training.inmf,
            training.category,
            training.iteration,
            tuple(training.rewards),
            training.model,
            training.optimizer.state(),
        )

    def progress(self) -> tuple[int, int]:
        """Iterations done and planned, of finished, running and wanted trainings."""
        models = self.library.models.values()
        done = sum(m.iterations for m in models)
        running = self.trainings.values()
        planned = done + sum(t.iterations_planned for t in running)
        planned += sum(self._planned(category) for _, category in self.wanted())
        return done + sum(t.iteration for t in running), planned

    def best_ancestor(self, inmf: InmfId, category: CategoryKey) -> MetaModel | None:
        """The least-general available model that contains the category."""
        sizes = {c: len(plvns) for c, plvns in self.lattice.members.items()}
        matching = candidates(category, self.library.available(inmf), sizes)
        return self.library.get(inmf, matching[0].category) if matching else None

    def _planned(self, category: CategoryKey) -> int:
        settings = self.settings
        if category == SUPER_CATEGORY:
            return settings.first_stage_iterations + settings.iterations
        return settings.category_iterations

    def _open(self, inmf: InmfId, category: CategoryKey) -> Training:
        settings = self.settings
        self.opened += 1
        ancestor = self.best_ancestor(inmf, category)
        start = self.blueprints[inmf].initial if ancestor is None else ancestor.weights
        optimizer = MetaOptimizer(
            learning_rate=settings.learning_rate,
            step_size_learning_rate=settings.step_size_learning_rate,
        )
        training = Training(
            job=f"{category_name(category)}-{self.opened}",
            inmf=inmf,
            category=category,
            ancestor=category if ancestor is None else ancestor.category,
            model=start,
            optimizer=optimizer,
            settings=settings,
            iterations_planned=self._planned(category),
            first_stage=settings.first_stage_iterations if ancestor is None else 0,
            seed=settings.seed * 1_009 + self.opened,
        )
        saved = self.checkpoints.get((inmf, category))
        if saved is not None:
            training.iteration, training.rewards = saved.iteration, list(saved.rewards)
            training.model = saved.model
            optimizer.restore(saved.optimizer)
        return training


def category_name(category: CategoryKey) -> str:
    """A short name for a job: `super`, or the values of the category joined by dashes."""
    if category == SUPER_CATEGORY:
        return "super"
    return "-".join(pair.partition("=")[2] for pair in category.split("|"))[:48]
