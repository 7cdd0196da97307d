"""Trainings and rows of gradients for tests of the cloud twin."""

from collections.abc import Sequence

import numpy as np

from twintier.cloud_twin.meta_training import MetaParameters, Training, Vector
from twintier.cloud_twin.settings import CloudSettings
from twintier.learning.aggregate import MetaOptimizer
from twintier.protocol.ids import SUPER_CATEGORY, CategoryKey, InmfId, PlvnId
from twintier.protocol.messages import GradientRow, GradientsComputed
from twintier.protocol.tensors import Tensors

INMF = InmfId("coop-perception")
SIZE = 4
QUICK = CloudSettings(
    first_stage_iterations=0,
    iterations=4,
    category_iterations=2,
    min_iterations=2,
    checkpoint_iterations=2,
    tasks=8,
    n_min=2,
    planning_s=0.0,
    train_prior=False,
)


def zeros() -> MetaParameters:
    return MetaParameters(np.zeros(SIZE, np.float32), np.zeros(SIZE, np.float32))


def training(settings: CloudSettings = QUICK, category: CategoryKey = SUPER_CATEGORY) -> Training:
    return Training(
        job="super-1",
        inmf=INMF,
        category=category,
        ancestor=category,
        model=zeros(),
        optimizer=MetaOptimizer(learning_rate=0.1, step_size_learning_rate=0.1),
        settings=settings,
        iterations_planned=settings.iterations,
        first_stage=settings.first_stage_iterations,
        seed=3,
    )


def gradients(
    job: str, iteration: int, rows: dict[str, Sequence[float] | Vector], reward: float = 1.0
) -> GradientsComputed:
    """One row for each PLVN, with the same gradient for the step sizes."""
    stacked = np.array([np.asarray(row, np.float32) for row in rows.values()])
    return GradientsComputed(
        job=job,
        iteration=iteration,
        rows=tuple(
            GradientRow(
                plvn=PlvnId(plvn),
                adaptation_loss=-reward,
                adaptation_reward_before=0.0,
                adaptation_reward=reward,
                slots=75,
            )
            for plvn in rows
        ),
        gradients=Tensors.pack({"gradient": stacked, "step_size_gradient": stacked}),
    )


def alike(*plvns: str, value: float = 1.0) -> dict[str, Sequence[float] | Vector]:
    """The same gradient for each PLVN."""
    return {plvn: [value] * SIZE for plvn in plvns}
