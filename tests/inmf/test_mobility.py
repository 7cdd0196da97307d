"""Markov chains of workload and distance, and of pairs that come and go."""

import numpy as np
import pytest

from twintier.inmf.mobility import DISTANCE, FIVE_STATE, OBJECTS, Chain, Presence
from twintier.inmf.trajectory import ShapeError

ROUND_TRIP = Chain((1.0, 2.0, 3.0), ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)))


def test_a_certain_chain_walks_its_circle() -> None:
    walked = ROUND_TRIP.walk(np.array([0, 2]), 5, np.random.default_rng(1))
    assert walked.tolist() == [[1.0, 2.0, 3.0, 1.0, 2.0], [3.0, 1.0, 2.0, 3.0, 1.0]]


def test_a_level_without_probability_is_never_reached() -> None:
    chain = Chain((1.0, 2.0, 3.0), ((0.0, 1.0, 0.0), (0.5, 0.5, 0.0), (0.0, 0.0, 1.0)))
    walked = chain.walk(np.zeros(200, np.intp), 100, np.random.default_rng(2))
    assert set(np.unique(walked)) == {1.0, 2.0}


@pytest.mark.parametrize("chain", [OBJECTS, DISTANCE])
def test_steps_have_the_case_study_s_frequencies(chain: Chain) -> None:
    walked = chain.walk(np.zeros(400, np.intp), 500, np.random.default_rng(3))
    levels = np.searchsorted(np.array(chain.levels), walked)
    for level, row in enumerate(FIVE_STATE):
        after = levels[:, 1:][levels[:, :-1] == level]
        shares = np.bincount(after, minlength=5) / after.size
        assert shares == pytest.approx(np.array(row), abs=0.01)


def test_first_levels_come_from_the_long_run() -> None:
    share = OBJECTS.stationary()
    assert share @ np.array(FIVE_STATE) == pytest.approx(share)
    drawn = OBJECTS.draw_first((40000,), np.random.default_rng(4))
    assert np.bincount(drawn) / drawn.size == pytest.approx(share, abs=0.01)


def test_a_chain_that_swings_for_ever_has_a_long_run_too() -> None:
    swing = Chain((0.0, 1.0), ((0.0, 1.0), (1.0, 0.0)))
    assert swing.stationary() == pytest.approx(np.array([0.5, 0.5]))


def test_rows_that_are_no_probabilities_are_refused() -> None:
    with pytest.raises(ValueError, match="each row of a transition matrix"):
        Chain((1.0, 2.0), ((0.5, 0.4), (0.5, 0.5)))
    with pytest.raises(ValueError, match="each row of a transition matrix"):
        Chain((1.0, 2.0), ((1.5, -0.5), (0.5, 0.5)))
    with pytest.raises(ValueError, match="each row of a transition matrix"):
        Chain((1.0, 2.0), ((float("nan"), 1.0), (0.5, 0.5)))
    with pytest.raises(ShapeError, match=r"transition \(1, 2\) must be \(2, 2\)"):
        Chain((1.0, 2.0), ((0.5, 0.5),))


def test_a_pair_is_there_for_its_long_run_share() -> None:
    pair = Presence(appear=0.3, leave=0.1)
    seen = pair.walk((2000,), 200, np.random.default_rng(5))
    assert pair.share == pytest.approx(0.75)
    assert seen.mean() == pytest.approx(0.75, abs=0.01)
    assert seen[:, 0].mean() == pytest.approx(0.75, abs=0.03)
    left = ~seen[:, 1:][seen[:, :-1]]
    assert left.mean() == pytest.approx(0.1, abs=0.005)


def test_a_pair_that_never_leaves_is_always_there_and_one_that_never_comes_is_not() -> None:
    rng = np.random.default_rng(6)
    assert Presence().walk((3,), 4, rng).all()
    assert not Presence(appear=0.0, leave=1.0).walk((3,), 4, rng).any()
