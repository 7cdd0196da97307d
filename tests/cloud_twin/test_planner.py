"""What is trained when, from which ancestor, and how a restart goes on."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tests.cloud_twin.training_setup import INMF, QUICK, alike, gradients, zeros
from twintier.cloud_twin.categories import Lattice
from twintier.cloud_twin.library import Library
from twintier.cloud_twin.meta_training import Training
from twintier.cloud_twin.planner import Blueprint, Planner, TrainingRecord, category_name
from twintier.cloud_twin.settings import CloudSettings
from twintier.protocol.ids import SUPER_CATEGORY, CategoryKey, PlvnId
from twintier.protocol.tensors import model_id

HIGHWAY = CategoryKey("road=highway")
BERLIN = CategoryKey("city=berlin|road=highway")
OSLO = CategoryKey("city=oslo|road=highway")
PLVNS = {PlvnId("p1"): BERLIN, PlvnId("p2"): BERLIN, PlvnId("p3"): OSLO, PlvnId("p4"): OSLO}


def planner(
    plvns: Mapping[PlvnId, CategoryKey] = PLVNS, settings: CloudSettings = QUICK
) -> Planner:
    lattice = Lattice()
    for plvn, key in plvns.items():
        lattice.place(plvn, key)
    made = Planner(settings, {INMF: Blueprint("test/v1", zeros())}, Library(), lattice)
    for plvn in plvns:
        made.request(plvn, (INMF,))
    return made


def trained(training: Training, iterations: int) -> Training:
    for _ in range(iterations):
        training.sample(sorted(PLVNS))
        row = alike("p1", "p2", value=float(training.iteration + 1))
        training.add(gradients(training.job, training.iteration, row))
        training.close()
    return training


def test_the_super_model_comes_before_all_others() -> None:
    plan = planner()
    (super_training,) = plan.open_trainings()
    assert (super_training.category, super_training.iterations_planned) == (SUPER_CATEGORY, 4)
    assert plan.open_trainings() == []
    plan.close_training(super_training.job)
    assert [t.category for t in plan.open_trainings()] == [HIGHWAY, BERLIN, OSLO]


def test_rates_fall_over_the_planned_iterations_where_that_is_wanted() -> None:
    steady, falling = (
        planner(settings=replace(QUICK, decay=decay)).open_trainings()[0] for decay in (False, True)
    )
    assert (steady.optimizer.decay_steps, falling.optimizer.decay_steps) == (0, 4)


def test_no_plvn_no_training() -> None:
    assert planner({}).open_trainings() == []


def test_only_as_many_trainings_run_as_may() -> None:
    plan = planner(settings=CloudSettings(n_min=2, parallel_trainings=2))
    plan.close_training(plan.open_trainings()[0].job)
    assert [t.category for t in plan.open_trainings()] == [HIGHWAY, BERLIN]


def test_a_category_starts_from_its_least_general_ancestor() -> None:
    plan = planner()
    plan.close_training(trained(plan.open_trainings()[0], 2).job)
    highway, *_ = plan.open_trainings()
    plan.close_training(trained(highway, 2).job)
    model = plan.best_ancestor(INMF, CategoryKey("city=rome|road=highway"))
    assert model is not None
    assert (model.category, model.ancestor) == (HIGHWAY, SUPER_CATEGORY)
    assert np.array_equal(model.weights.init, highway.model.init)


def test_a_closed_training_is_in_the_library_with_its_lineage() -> None:
    plan = planner()
    training = trained(plan.open_trainings()[0], 3)
    model = plan.close_training(training.job)
    assert plan.library.get(INMF, SUPER_CATEGORY) is model
    assert plan.trainings == {}
    assert (model.version, model.iterations, model.ancestor) == (1, 3, SUPER_CATEGORY)
    assert model.model == model_id("test/v1", training.model.init)


def test_progress_counts_what_is_done_running_and_wanted() -> None:
    plan = planner()
    assert plan.progress() == (0, 4)
    trained(plan.open_trainings()[0], 2)
    assert plan.progress() == (2, 4)
    plan.close_training(next(iter(plan.trainings)))
    assert plan.progress() == (2, 2 + 3 * QUICK.category_iterations)


def test_a_training_resumed_from_a_checkpoint_ends_like_one_that_never_stopped() -> None:
    whole = trained(planner().open_trainings()[0], 4)
    first = planner()
    checkpoint = first.checkpoint(trained(first.open_trainings()[0], 2))
    second = planner()
    second.checkpoints[INMF, SUPER_CATEGORY] = checkpoint
    (resumed,) = second.open_trainings()
    assert (resumed.iteration, resumed.rewards) == (2, [1.0, 1.0])
    trained(resumed, 2)
    assert resumed.model.init.tobytes() == whole.model.init.tobytes()
    assert resumed.model.log_step_sizes.tobytes() == whole.model.log_step_sizes.tobytes()


def test_a_checkpoint_goes_when_its_training_is_closed() -> None:
    plan = planner()
    (training,) = plan.open_trainings()
    plan.checkpoints[INMF, SUPER_CATEGORY] = TrainingRecord(
        INMF, SUPER_CATEGORY, 0, (), zeros(), {}
    )
    plan.close_training(training.job)
    assert plan.checkpoints == {}


def test_a_category_has_a_short_name() -> None:
    assert category_name(SUPER_CATEGORY) == "super"
    assert category_name(BERLIN) == "berlin-highway"
