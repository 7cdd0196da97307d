from functools import partial

import numpy as np
import pytest

from bench._hidden import (
    DAY,
    INMF,
    META_LEARNING_RATE,
    POLICY,
    adapted_reward_j,
    batches,
    draw_tasks,
    ppo_update,
    train_meta,
    warm,
)
from bench.meta import Judge, Start, evaluate, follow, table
from twintier.inmf.perception.condition import PRIOR_HIGH, PRIOR_LOW
from twintier.learning.aggregate import Adam
from twintier.learning.meta import MetaSettings
from twintier.learning.policy import entropy, initial_parameters
from twintier.learning.ppo import PpoSettings


def test_each_task_keeps_its_condition_and_its_radio_level_in_a_batch() -> None:
    tasks = draw_tasks(4, np.random.default_rng(0))
    batch = batches(tasks, 30)([np.random.default_rng(1)])
    assert batch.episodes == 120
    for number, task in enumerate(tasks):
        rows = slice(30 * number, 30 * (number + 1))
        np.testing.assert_array_equal(batch.conditions[rows][0], task.condition.as_array())
        mean_hz = batch.trace.bandwidth_hz[rows].mean()
        assert mean_hz == pytest.approx(task.mean_hz, rel=0.01)


def test_the_day_lies_within_the_prior() -> None:
    low, high = PRIOR_LOW.as_array(), PRIOR_HIGH.as_array()
    for task in DAY.values():
        condition = task.condition.as_array()
        assert ((low <= condition) & (condition <= high)).all()


def test_an_arm_is_scored_before_and_after_every_update() -> None:
    rng = np.random.default_rng(0)
    task = DAY["A"]
    judge = Judge(task, task.batch(5, rng), 2.0)
    flat = initial_parameters(POLICY, rng)
    after, during = follow(Start(flat), judge, rng)
    assert (len(after), len(during)) == (11, 10)
    assert after[0] == pytest.approx(judge.share(flat))


def test_plain_steps_come_before_ppo_and_move_the_policy_as_the_step_sizes_say() -> None:
    rng = np.random.default_rng(0)
    task = DAY["A"]
    judge = Judge(task, task.batch(5, rng), 2.0)
    flat = initial_parameters(POLICY, rng)
    tiny = np.full_like(flat, -20.0)
    after, _ = follow(Start(flat, tiny, plain_steps=3), judge, rng)
    assert after[:4] == pytest.approx([after[0]] * 4)
    assert after[4] != after[0]


@pytest.mark.slow
def test_meta_training_moves_parameters_and_step_sizes() -> None:
    rng = np.random.default_rng(0)
    start = warm(initial_parameters(POLICY, rng), DAY["A"], rng)
    settings = MetaSettings("maml", inner_steps=1, episodes=2)
    parameters, logs = train_meta(start, settings, 2, rng)
    assert np.abs(parameters - start).max() == pytest.approx(2 * META_LEARNING_RATE, rel=0.3)
    assert np.abs(logs - np.log(0.3)).max() == pytest.approx(6e-2, rel=0.3)


def test_without_an_inner_step_the_start_itself_is_validated() -> None:
    rng = np.random.default_rng(0)
    start = warm(initial_parameters(POLICY, rng), DAY["A"], rng)
    logs = np.zeros_like(start)
    assert np.isfinite(adapted_reward_j(start, logs, 0))
    trained, _ = train_meta(start, MetaSettings(inner_steps=0, episodes=2), 1, rng)
    assert np.abs(trained - start).max() > 0.0


@pytest.mark.slow
def test_a_start_is_not_judged_where_it_was_trained() -> None:
    rng = np.random.default_rng(0)
    flat = initial_parameters(POLICY, rng)
    everywhere = {name: Judge(DAY[name], DAY[name].batch(2, rng), 1.0) for name in ("A", "E")}
    only_e = evaluate(Start(flat), {"E": everywhere["E"]})[0][0]
    assert evaluate(Start(flat, source="A"), everywhere)[0][0] == only_e
    assert evaluate(Start(flat), everywhere)[0][0] != only_e


def test_one_update_learns_from_ten_episodes() -> None:
    rng = np.random.default_rng(0)
    flat = initial_parameters(POLICY, rng)
    work = partial(ppo_update, flat, DAY["A"].batch(10, rng), Adam(1e-2), PpoSettings())
    changed, explored = work(rng)
    seen = np.zeros((1, INMF.observation_dim), np.float32)
    assert entropy(POLICY, changed, seen) != entropy(POLICY, flat, seen)
    assert -10.0 < explored < 2.0
    assert INMF.slots == 75


def test_a_table_holds_means_and_half_widths_by_update() -> None:
    rows = {"arm": [np.array([0.0, 1.0]), np.array([0.0, 3.0])]}
    result = table(rows, {5: 1})
    assert result["arm"] == {"5": 2.0}
    assert result["arm_ci95"] == {"5": pytest.approx(12.706)}
