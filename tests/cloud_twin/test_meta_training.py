"""One category's meta training: what counts, what ends an iteration, when it is done."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cloud_twin.training_setup import QUICK, SIZE, alike, gradients, training
from twintier.protocol.ids import PlvnId

PLVNS = [PlvnId(f"p{n}") for n in range(6)]


def test_a_duplicate_gradient_counts_once() -> None:
    run = training()
    run.sample(PLVNS[:2])
    assert run.add(gradients("super-1", 0, alike("p0"))) == {"counted": 1}
    assert run.add(gradients("super-1", 0, alike("p0", value=9.0))) == {"duplicate": 1}
    assert run.rows[PlvnId("p0")].gradient.tolist() == [1.0] * SIZE


def test_rows_of_another_iteration_are_late_and_do_nothing() -> None:
    run = training()
    run.sample(PLVNS)
    assert run.add(gradients("super-1", 1, alike("p0", "p1"))) == {"late": 2}
    assert run.rows == {}


def test_rows_that_nobody_asked_for_do_nothing() -> None:
    run = training()
    run.sample(PLVNS[:1])
    assert run.add(gradients("super-1", 0, alike("p0", "p5"))) == {"counted": 1, "unasked": 1}
    assert set(run.rows) == {"p0"}


def test_an_iteration_is_complete_when_all_have_answered_or_failed() -> None:
    run = training()
    run.sample(PLVNS[:3])
    run.add(gradients("super-1", 0, alike("p0", "p1")))
    assert not run.complete()
    run.fail(1, [PLVNS[2]], "of another iteration")
    assert not run.complete()
    run.fail(0, [PLVNS[2], PLVNS[5]], "no telemetry")
    assert run.complete()
    assert run.close() == {"p2": "no telemetry"}


def test_the_deadline_steps_along_what_is_there() -> None:
    run = training()
    run.sample(PLVNS)
    run.add(gradients("super-1", 0, alike("p3"), reward=2.5))
    assert run.close() == {}
    assert (run.iteration, run.rewards) == (1, [2.5])
    assert run.model.init == pytest.approx([-QUICK.learning_rate] * SIZE)


def test_a_round_without_gradients_changes_nothing() -> None:
    run = training()
    run.sample(PLVNS)
    assert run.close() == {}
    assert (run.iteration, run.empty_rounds, run.rewards) == (0, 1, [])
    assert run.model.init.tolist() == [0.0] * SIZE


def test_an_empty_round_is_repeated_with_other_twins() -> None:
    run = training(replace(QUICK, tasks=1))
    sampled = set()
    for _ in range(20):
        sampled |= set(run.sample(PLVNS))
        run.close()
    assert len(sampled) > 1


def test_a_row_of_another_size_is_refused() -> None:
    run = training()
    run.sample(PLVNS[:1])
    assert run.add(gradients("super-1", 0, {"p0": [1.0] * (SIZE + 1)})) == {"malformed": 1}
    assert run.add(gradients("super-1", 0, alike("p0"))) == {"counted": 1}


def test_fewer_gradients_than_rows_are_refused() -> None:
    run = training()
    run.sample(PLVNS[:3])
    whole = gradients("super-1", 0, alike("p0", "p1"))
    short = gradients("super-1", 0, alike("p0"))
    torn = whole.model_copy(update={"gradients": short.gradients})
    assert run.add(torn) == {"malformed": 2}
    assert run.rows == {}


def test_an_outlier_is_refused_and_the_others_count() -> None:
    run = training()
    run.sample(PLVNS)
    rows = {**alike("p0", "p1", "p2", "p3"), "p4": [1e6] * SIZE}
    run.add(gradients("super-1", 0, rows))
    assert set(run.close()) == {"p4"}
    assert run.iteration == 1


def test_the_order_of_arrival_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    rows = {plvn: rng.standard_normal(SIZE).astype(np.float32) for plvn in PLVNS}
    models = []
    for order in (list(rows), list(reversed(rows))):
        run = training()
        run.sample(PLVNS)
        for plvn in order:
            run.add(gradients("super-1", 0, {plvn: rows[PlvnId(plvn)]}))
        run.close()
        models.append(run.model.init.tobytes())
    assert models[0] == models[1]


@given(st.lists(st.tuples(st.sampled_from(PLVNS), st.integers(0, 2)), max_size=30))
def test_no_gradient_counts_twice_under_duplication_and_reordering(
    arrivals: list[tuple[PlvnId, int]],
) -> None:
    run = training()
    counted = []
    run.sample(PLVNS[:4])
    for plvn, iteration in arrivals:
        outcomes = run.add(gradients("super-1", iteration, alike(plvn)))
        counted += [(plvn, run.iteration)] * outcomes.get("counted", 0)
        if run.complete():
            run.close()
            run.sample(PLVNS[:4])
    assert len(counted) == len(set(counted))
    assert run.iteration == len(counted) // 4


def test_training_ends_after_the_planned_iterations() -> None:
    run = training(replace(QUICK, iterations=2))
    for iteration in range(2):
        assert not run.finished()
        run.sample(PLVNS)
        run.add(gradients("super-1", iteration, alike("p0"), reward=float(iteration)))
        run.close()
    assert run.finished()
    assert run.first_and_last() == (0.5, 0.5)


@pytest.mark.parametrize(("rise", "settled"), [(0.0, True), (0.01, False)])
def test_training_ends_early_when_the_reward_has_settled(rise: float, *, settled: bool) -> None:
    run = training(replace(QUICK, iterations=1000))
    run.iteration = 60
    run.rewards = [1.0 + rise * n for n in range(60)]
    assert run.finished() is settled


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_whether_the_reward_has_settled_does_not_depend_on_its_unit(unit: float) -> None:
    for gain, settled in ((0.001, True), (0.003, False)):
        run = training(replace(QUICK, iterations=1000))
        run.iteration = 60
        run.rewards = [unit] * 30 + [unit * (1.0 + gain)] * 30
        assert run.finished() is settled


def test_the_first_stage_s_steps_shrink_to_a_fifth_and_meta_training_s_do_not() -> None:
    settings = replace(QUICK, first_stage_iterations=4, iterations=6, train_prior=False)
    run, rates = training(settings), []
    for iteration in range(6):
        run.sample(PLVNS)
        run.add(gradients("super-1", iteration, alike("p0")))
        before = run.model.init
        run.close()
        rates.append(float(before[0] - run.model.init[0]))
    first, meta = settings.first_stage_learning_rate, settings.learning_rate
    expected = [first, 0.8 * first, 0.6 * first, 0.4 * first, meta, meta]
    assert rates == pytest.approx(expected, rel=1e-3)


def test_sampling_is_uniform_without_replacement_and_repeatable() -> None:
    first, second = training(replace(QUICK, tasks=3)), training(replace(QUICK, tasks=3))
    sampled = first.sample(PLVNS)
    assert sampled == second.sample(list(reversed(PLVNS)))
    assert len(set(sampled)) == 3
    assert first.round_settings() == second.round_settings()
