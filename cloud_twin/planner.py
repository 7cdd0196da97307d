"""What is trained when: offline planning first, then whatever new categories ask for. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from twintier.cloud_twin.categories import Lattice, candidates
from twintier.cloud_twin.library import Library, MetaModel
from twintier.cloud_twin.meta_training import MetaParameters, Training, training_seed
from twintier.cloud_twin.round_states import RoundEvent
from twintier.cloud_twin.settings import CloudSettings
from twintier.learning.aggregate import MetaOptimizer
from twintier.protocol.ids import SUPER_CATEGORY, CategoryKey, InmfId, PlvnId

Phase = Literal["planning", "online"]


@dataclass(frozen=True, slots=True)
class Blueprint:
    """An INMF's policy before any training: where the super model starts."""

    schema_id: str
    initial: MetaParameters
    former_schemas: tuple[str, ...] = ()
    """Schema ids of earlier releases whose parameters mean the same."""
    emulated: bool = True
    """Whether twins emulate it; without that there is nothing to plan offline with."""
    teaches: bool = True
    """Whether its emulator can teach the first stage."""


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
    online: bool = False
    """Whether offline planning is over."""
    demand: dict[InmfId, set[PlvnId]] = field(default_factory=dict)
    """PLVNs that want an INMF."""

    def request(self, plvn: PlvnId, inmfs: Sequence[InmfId]) -> None:
        """A PLVN wants exactly these INMFs."""
        for wanted in self.demand.values():
            wanted.discard(plvn)
        for inmf in inmfs:
            if inmf in self.blueprints:
                self.demand.setdefault(inmf, set()).add(plvn)

    def wanted(self) -> list[tuple[InmfId, CategoryKey]]:
        """Models that are missing and not on their way; the super model comes before all others.

        What is not emulated is trained from true trajectories, which are there once it is online.
        """
        under_way = {(t.inmf, t.category) for t in self.trainings.values()}
        missing: list[tuple[InmfId, CategoryKey]] = []
        for inmf, blueprint in sorted(self.blueprints.items()):
            if not self.demand.get(inmf) or not (blueprint.emulated or self.online):
                continue
            chosen = self._trainable(inmf)
            if not self._is_trained(inmf, SUPER_CATEGORY):
                chosen = [c for c in chosen if c == SUPER_CATEGORY]
            missing += [
                (inmf, c)
                for c in chosen
                if not self._is_trained(inmf, c) and (inmf, c) not in under_way
            ]
        return missing

    def untrained(self) -> list[MetaModel]:
        """Super models of what is not emulated: initial parameters, to begin the pure loop with."""
        models = [
            MetaModel(
                inmf=inmf,
                category=SUPER_CATEGORY,
                version=1,
                model=blueprint.initial.model_id(blueprint.schema_id),
                schema_id=blueprint.schema_id,
                ancestor=SUPER_CATEGORY,
                iterations=0,
                adaptation_reward_first=0.0,
                adaptation_reward_last=0.0,
                weights=blueprint.initial,
            )
            for inmf, blueprint in sorted(self.blueprints.items())
            if not blueprint.emulated
            and self.demand.get(inmf)
            and self.library.get(inmf, SUPER_CATEGORY) is None
        ]
        for model in models:
            self.library.add(model)
        return models

    def restored(self, model: MetaModel) -> MetaModel:
        """A kept model under the schema id of this release, if its own means the same."""
        blueprint = self.blueprints.get(model.inmf)
        if blueprint is None or model.schema_id not in blueprint.former_schemas:
            return model
        present = blueprint.schema_id
        return replace(model, schema_id=present, model=model.weights.model_id(present))

    def _trainable(self, inmf: InmfId) -> list[CategoryKey]:
        """Categories with enough PLVNs that want the INMF; the root needs only one."""
        settings = self.settings
        enough = self.lattice.trainable(n_min=settings.n_min, max_level=settings.max_level)
        members, demand = self.lattice.members, self.demand[inmf]
        return [
            c for c in enough if c == SUPER_CATEGORY or len(members[c] & demand) >= settings.n_min
        ]

    def _is_trained(self, inmf: InmfId, category: CategoryKey) -> bool:
        model = self.library.get(inmf, category)
        return model is not None and (model.iterations > 0 or self.blueprints[inmf].emulated)

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
            model=training.model.model_id(schema_id),
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
        planned += sum(self._planned(inmf, category) for inmf, category in self.wanted())
        return done + sum(t.iteration for t in running), planned

    def best_ancestor(self, inmf: InmfId, category: CategoryKey) -> MetaModel | None:
        """The least-general available model that contains the category."""
        sizes = {c: len(plvns) for c, plvns in self.lattice.members.items()}
        matching = candidates(category, self.library.available(inmf), sizes)
        return self.library.get(inmf, matching[0].category) if matching else None

    def _planned(self, inmf: InmfId, category: CategoryKey) -> int:
        settings = self.settings
        if category == SUPER_CATEGORY:
            return self._first_stage(inmf) + settings.iterations
        return settings.category_iterations

    def _first_stage(self, inmf: InmfId) -> int:
        blueprint = self.blueprints[inmf]
        taught = blueprint.emulated and blueprint.teaches
        return self.settings.first_stage_iterations if taught else 0

    def _open(self, inmf: InmfId, category: CategoryKey) -> Training:
        settings = self.settings
        self.opened += 1
        ancestor = self.best_ancestor(inmf, category)
        start = self.blueprints[inmf].initial if ancestor is None else ancestor.weights
        planned = self._planned(inmf, category)
        optimizer = MetaOptimizer(
            learning_rate=settings.learning_rate,
            step_size_learning_rate=settings.step_size_learning_rate,
            decay_steps=planned if settings.decay else 0,
        )
        training = Training(
            job=f"{category_name(category)}-{self.opened}",
            inmf=inmf,
            category=category,
            ancestor=category if ancestor is None else ancestor.category,
            model=start,
            optimizer=optimizer,
            settings=settings,
            iterations_planned=planned,
            first_stage=self._first_stage(inmf) if ancestor is None else 0,
            seed=training_seed(settings.seed, self.opened),
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
