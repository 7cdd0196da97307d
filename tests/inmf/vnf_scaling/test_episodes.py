"""Episodes: hand-made loads, batches against single episodes, the teacher against play."""

import numpy as np
import pytest

from tests.inmf.vnf_scaling.played import episodes_of, every_course, hidden_of
from twintier.inmf.check.subject import SITE
from twintier.inmf.vnf_scaling.emulator import expert
from twintier.inmf.vnf_scaling.episodes import (
    DRAWN,
    WARM_UP,
    EpisodeError,
    LoadTrace,
    VnfEpisodes,
)
from twintier.inmf.vnf_scaling.slots import SPEC, Loads

UP, HOLD, DOWN = 2, 0, 1


def actions_of(*choices: int) -> np.typing.NDArray[np.int64]:
    return np.array(choices)[None, :, None]


def test_an_order_of_this_slot_serves_this_slot_with_a_lag_of_1() -> None:
    batch = episodes_of(np.array([[4.0, 5.0, 3.0]]), hidden_of(lag=1), instances=3.0)
    course = batch.course(actions_of(UP, HOLD, DOWN))
    assert course.ordered[0, :, 0].tolist() == [3.0, 4.0, 4.0, 3.0]
    assert course.backlog_s[0].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert course.reward[0] == pytest.approx(
        [1 - 4 / 12 - 0.1, 1 - 4 / 12 - 2 * (0.5 + 0.125), 1 - 3 / 12 - 2 * (0.5 + 1 / 6) - 0.1]
    )


def test_an_order_serves_two_slots_later_with_a_lag_of_3() -> None:
    batch = episodes_of(np.array([[4.0, 4.0, 4.0, 4.0]]), hidden_of(lag=3), instances=3.0)
    course = batch.course(actions_of(UP, HOLD, HOLD, HOLD))
    assert course.backlog_s[0].tolist() == [0.0, 1.0, 2.0, 2.0, 2.0]
    assert course.reward[0, 0] == pytest.approx(1 - 3 / 12 - 2 * (0.5 + 0.5 / 3) - 0.1)


def test_an_order_beyond_the_last_instance_costs_nothing() -> None:
    batch = episodes_of(np.array([[1.0]]), hidden_of(), instances=12.0)
    assert batch.rewards(actions_of(UP)).tolist() == [[0.0]]


def test_an_observation_in_numbers() -> None:
    batch = episodes_of(np.array([[4.0, 2.0]]), hidden_of(lag=3), instances=3.0)
    memory = batch.remember(0, batch.first_memory(), np.array([[UP]]))
    seen = batch.observe(1, memory)[0]
    mean, variance = 2.0 + 0.2 * 2.0, 0.8 * (0.36 + 0.2 * 4.0)
    expected = [
        3 / 6 - 1,  # running
        np.log1p(1.0),  # backlog
        4 / 4 - 1,  # loads: newest, one before, three before
        2 / 4 - 1,
        4 / 4 - 1,
        0.0,  # slope
        mean / 4 - 1,
        np.sqrt(variance),
        (3 - 4) / 3,  # slack
        4 / 6 - 1,  # ordered
        1 / 3,  # pending
        1 / 3,  # ordered of late
        (mean + 2.0 * np.sqrt(variance) - 4) / 2,
        (1 + 4 - 4) / 3,
        4 / 4 - 1,
    ]
    assert seen == pytest.approx(expected, abs=1e-6)


def test_a_batch_is_its_episodes_one_by_one() -> None:
    rng = np.random.default_rng(3)
    met = rng.uniform(0.0, 9.0, (5, 40))
    hidden = np.stack(
        [rng.uniform(0.2, 6, 5), rng.uniform(0.02, 0.2, 5), np.array([1, 3, 6, 1, 6])], axis=1
    )
    actions = rng.integers(0, 4, (5, 40, 1))
    together = episodes_of(met, hidden)
    for index in range(5):
        alone = episodes_of(met[[index]], hidden[[index]])
        one = slice(index, index + 1)
        assert np.array_equal(alone.rewards(actions[one]), together.rewards(actions)[one])
        assert np.allclose(alone.scores(actions[one]), together.scores(actions)[one])


def test_a_course_is_what_playing_slot_by_slot_leads_to() -> None:
    rng = np.random.default_rng(4)
    hidden = np.array([[2.0, 0.1, 1.0], [0.5, 0.05, 3.0], [5.0, 0.2, 6.0]])
    batch = episodes_of(rng.uniform(0.0, 9.0, (3, 30)), hidden)
    actions = rng.integers(0, 4, (3, 30, 1))
    course, memory = batch.course(actions), batch.first_memory()
    for slot in range(30):
        memory = batch.remember(slot, memory, actions[:, slot])
        assert np.array_equal(course.ordered[:, slot + 1], memory["ordered"])
        assert np.array_equal(course.backlog_s[:, slot + 1], memory["backlog_s"])


def test_a_trace_remembers_as_a_plvn_does_slot_by_slot() -> None:
    drawn = np.random.default_rng(6).uniform(0.0, 9.0, (2, DRAWN))
    trace, memory = LoadTrace.of(drawn), Loads.none(2)
    for slot in range(WARM_UP + SPEC.slots - 1):
        before, memory = memory, memory.followed_by(drawn[:, slot])
        place = slot - WARM_UP + 1
        if place >= 0:
            fields = trace.loads[place].fields()
            assert all(np.array_equal(fields[name], it) for name, it in memory.fields().items())
            assert np.array_equal(trace.earliest[:, place], before.before[:, -1])


def test_the_same_seed_draws_the_same_loads_whatever_is_played() -> None:
    first, second = (expert(SITE).draw(3, np.random.default_rng(5)) for _ in range(2))
    first.rewards(np.random.default_rng(0).integers(0, 4, (3, SPEC.slots, 1)))
    assert np.array_equal(first.trace.met, second.trace.met)


@pytest.mark.parametrize("lag", [1, 3, 6])
def test_scores_are_the_best_that_can_follow_a_choice(lag: int) -> None:
    # Loads on the teacher's grid of a quarter, so that its values are exact.
    met = np.random.default_rng(lag).integers(0, 24, (1, 7)) / 4.0
    batch = episodes_of(met, hidden_of(lag=lag))
    played = np.array([3, 0, 2, 1, 0, 3, 0])[None, :, None]
    discount = batch.spec.gamma ** np.arange(7)
    scores = batch.scores(played)
    courses = every_course(5)
    prefix = np.repeat(played[:, :2], len(courses), axis=0)
    many = episodes_of(np.repeat(met, len(courses), axis=0), hidden_of(lag=lag))
    rewards = many.rewards(np.concatenate([prefix, courses], axis=1))
    later = (rewards[:, 2:] * discount[:5]).sum(axis=1)
    best = np.array([later[courses[:, 0, 0] == choice].max() for choice in range(4)])
    # What no choice changes, the slots before the effect, is no part of a score.
    assert scores[0, 2] - scores[0, 2, 0] == pytest.approx(best - best[0], abs=1e-9)


def test_hidden_parameters_are_one_row_or_one_of_each_episode() -> None:
    batch = episodes_of(np.ones((3, 4)), hidden_of())
    with pytest.raises(EpisodeError, match=r"\(2, 3\) must be \(1, 3\) or \(3, 3\)"):
        VnfEpisodes(batch.trace, np.ones((2, 3)))
    with pytest.raises(EpisodeError, match="observe slot by slot"):
        batch.observe_all()
