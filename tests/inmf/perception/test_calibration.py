"""The hidden condition from what a PLVN did and measured."""

import numpy as np
import pytest

from tests.edge_twin.played import CLEAR, DENSE, RAIN, UPDATED, URBAN, idle, played, rows_of
from twintier.inmf.contract import Posterior
from twintier.inmf.perception.calibration import calibrate, informative, predict, select
from twintier.inmf.perception.condition import PRIOR_HIGH, PRIOR_LOW, Condition, draw_conditions
from twintier.inmf.perception.emulator import NOMINAL_CONDITION, EmulatorParameters
from twintier.inmf.perception.inmf import PerceptionCalibration
from twintier.inmf.spec import Array
from twintier.inmf.trajectory import Trajectories


def fitted(trajectories: Trajectories, *known: Condition, seed: int = 0) -> Posterior:
    return calibrate(trajectories, known, np.random.default_rng(seed))


def misfits(trajectories: Trajectories, hidden: Array) -> Array:
    return PerceptionCalibration().misfits(rows_of(trajectories), hidden)


@pytest.mark.slow
@pytest.mark.parametrize("emulator", [URBAN, DENSE], ids=["urban", "dense"])
def test_hardly_any_fit_explains_the_slots_worse_than_the_truth(
    emulator: EmulatorParameters,
) -> None:
    worse = []
    for seed, condition in enumerate(draw_conditions(10, np.random.default_rng(4))):
        slots = played(condition, 150, seed, emulator=emulator)
        found, true = fitted(slots).best, condition.as_array()
        worse.append(misfits(slots, found).sum() - misfits(slots, true).sum())
    assert sum(excess > 3.0 for excess in worse) <= 1


@pytest.mark.parametrize("emulator", [URBAN, DENSE], ids=["urban", "dense"])
def test_predictions_on_new_slots_are_as_good_as_the_calibration_says(
    emulator: EmulatorParameters,
) -> None:
    pulls = []
    for seed, condition in enumerate(draw_conditions(5, np.random.default_rng(7))):
        calibration = fitted(played(condition, 225, seed, emulator=emulator))
        new = played(condition, 600, seed + 100, emulator=emulator, noise_j=0.0)
        rewards = predict(calibration.particles, new)
        mean = calibration.weights @ rewards
        by_block = (new.reward_j[0] - mean).reshape(-1, 15).sum(axis=1)
        spread = rewards.reshape(len(rewards), -1, 15).sum(axis=2).std(axis=0)
        pulls.append(by_block / np.hypot(spread, 0.35 * np.sqrt(15)))
    assert float(np.mean(np.abs(pulls))) < 0.7
    assert float(np.mean(np.abs(pulls) > 3.0)) < 0.02


def test_the_fit_is_repeatable() -> None:
    slots = played(RAIN, 100, 3)
    first, second = fitted(slots, seed=9), fitted(slots, seed=9)
    assert np.array_equal(first.best, second.best)
    assert np.array_equal(first.particles, second.particles)


def test_a_known_condition_is_among_the_guesses() -> None:
    slots = played(UPDATED, 225, 3, noise_j=0.0)
    found = fitted(slots, UPDATED).best
    assert misfits(slots, found).sum() <= misfits(slots, UPDATED.as_array()).sum()


def test_particles_stay_in_the_prior_and_their_weights_sum_to_one() -> None:
    calibration = fitted(played(CLEAR, 60, 2))
    low, high = PRIOR_LOW.as_array(), PRIOR_HIGH.as_array()
    assert (calibration.particles >= low - 1e-12).all()
    assert (calibration.particles <= high + 1e-12).all()
    assert calibration.weights.sum() == pytest.approx(1.0)
    assert calibration.n_slots == 60


def test_more_slots_leave_less_doubt() -> None:
    spreads = [
        float(fitted(played(CLEAR, slots, 2)).particles.std(axis=0)[0]) for slots in (30, 400)
    ]
    assert spreads[1] < 0.8 * spreads[0]


def test_slots_in_which_nobody_cooperates_leave_the_prior() -> None:
    calibration = fitted(idle(50))
    assert calibration.best.tolist() == NOMINAL_CONDITION.as_array().tolist()
    spread = calibration.particles.std(axis=0) / (PRIOR_HIGH.as_array() - PRIOR_LOW.as_array())
    assert (spread > 0.15).all()
    assert calibration.n_slots == 50


def test_a_freak_slot_does_not_decide() -> None:
    slots = played(CLEAR, 225, 1)
    freak = slots.reward_j.copy()
    freak[0, np.flatnonzero(informative(slots))[0]] = 1e6
    spoiled = Trajectories(slots.trace, slots.modes_before, slots.modes, freak)
    truth = misfits(spoiled, CLEAR.as_array()).sum()
    assert misfits(spoiled, fitted(spoiled).best).sum() <= truth + 3.0


def test_only_slots_with_cooperation_or_a_change_inform() -> None:
    slots = played(CLEAR, 100, 1)
    chosen = informative(slots)
    assert not informative(idle(20)).any()
    assert select(slots, chosen).reward_j.tolist() == slots.reward_j[:, chosen].tolist()
    quiet = ~chosen
    assert not slots.modes[0, quiet].any()


def test_conditions_are_drawn_as_often_as_they_are_plausible() -> None:
    particles = np.stack([CLEAR.as_array(), RAIN.as_array()])
    known = Posterior(particles[0], particles, np.array([0.8, 0.2]), 10, 0.35)
    drawn = known.draw(2000, np.random.default_rng(0)).tolist()
    assert drawn.count(particles[0].tolist()) / 2000 == pytest.approx(0.8, abs=0.03)
    assert all(row in particles.tolist() for row in drawn)
