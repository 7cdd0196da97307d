"""Hidden parameters from simulated slots."""

import numpy as np
import pytest

from tests.inmf.vnf_scaling.played import episodes_of, simulated
from twintier.inmf.check.subject import SITE
from twintier.inmf.contract import Columns, Posterior
from twintier.inmf.spec import Array, Observation
from twintier.inmf.vnf_scaling.calibration import VnfCalibration
from twintier.inmf.vnf_scaling.emulator import expert
from twintier.inmf.vnf_scaling.physics import HIDDEN_HIGH, HIDDEN_LOW, changes
from twintier.inmf.vnf_scaling.rule import Provisioning

CALIBRATION = VnfCalibration()
NONE = np.zeros((0, 3))


def emulated(hidden: Array, slots: int, seed: int, noise: float = 0.05) -> Columns:
    """Slots of an emulated PLVN that a lean rule manages, so that some are late; noisy rewards."""
    rng = np.random.default_rng(seed)
    batch = expert(SITE).draw(-(-slots // 100), rng, hidden[None])
    actions = Provisioning(margin=0.5).actions(batch)
    course = batch.course(actions)
    columns = {
        "ordered": course.ordered[:, :-1].reshape(-1, 6),
        "backlog_s": course.backlog_s[:, :-1].reshape(-1),
        "load_met": batch.trace.met[:, :100].reshape(-1),
        "action": actions.reshape(-1, 1).astype(float),
        "reward": course.reward.reshape(-1) + rng.normal(0.0, noise, course.reward.size),
    }
    return {name: values[:slots] for name, values in columns.items()}


def fitted(columns: Columns, known: Array = NONE) -> Posterior:
    return CALIBRATION.fit(columns, known, np.random.default_rng(0))


@pytest.mark.parametrize("lag", [1, 3, 6])
def test_400_slots_tell_weight_cost_and_lag(lag: int) -> None:
    for seed in range(5):
        hidden = CALIBRATION.prior(1, np.random.default_rng([seed, lag]))[0]
        hidden[2] = lag
        posterior = fitted(emulated(hidden, 400, seed))
        assert posterior.best[2] == lag
        assert posterior.best[0] == pytest.approx(hidden[0], rel=0.025, abs=0.03)
        assert posterior.best[1] == pytest.approx(hidden[1], abs=0.03)
        assert posterior.residual_sd == pytest.approx(0.05, abs=0.01)


def test_particles_are_as_uncertain_as_the_data_leave_it() -> None:
    hidden = np.array([2.0, 0.1, 3.0])
    pulls = []
    for seed in range(40):
        posterior = fitted(emulated(hidden, 60, seed))
        mean = posterior.weights @ posterior.particles[:, 0]
        spread = np.sqrt(posterior.weights @ (posterior.particles[:, 0] - mean) ** 2)
        pulls.append((mean - hidden[0]) / spread)
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(1.0, abs=0.4)


def test_slots_that_say_nothing_leave_the_prior() -> None:
    # One instance more than any load needs, and never an order.
    quiet = episodes_of(np.full((1, 50), 2.0), np.array([[4.0, 0.1, 3.0]]), instances=5.0)
    columns = {
        "ordered": np.full((50, 6), 5.0),
        "backlog_s": np.zeros(50),
        "load_met": np.full(50, 2.0),
        "action": np.zeros((50, 1)),
        "reward": quiet.rewards(np.zeros((1, 50, 1), np.int64))[0],
    }
    posterior = fitted(columns)
    assert not CALIBRATION.informative(columns).any()
    assert posterior.particles[:, 0].std() == pytest.approx(1.67, abs=0.5)
    shares = [posterior.weights[posterior.particles[:, 2] == lag].sum() for lag in (1, 3, 6)]
    assert shares == pytest.approx([1 / 3] * 3)


def test_particles_stay_in_the_prior_and_weights_sum_to_one() -> None:
    posterior = fitted(emulated(np.array([0.3, 0.02, 1.0]), 40, 3))
    assert (posterior.particles >= HIDDEN_LOW).all()
    assert (posterior.particles <= HIDDEN_HIGH).all()
    assert posterior.weights.sum() == pytest.approx(1.0)
    assert posterior.n_slots == 40


def test_a_freak_does_not_decide() -> None:
    hidden = np.array([2.0, 0.1, 3.0])
    columns = dict(emulated(hidden, 400, 1))
    rewards = columns["reward"].copy()
    rewards[[50, 150, 250]] = -60.0
    posterior = fitted({**columns, "reward": rewards})
    assert posterior.best == pytest.approx(hidden, abs=0.1)


def test_the_order_of_slots_does_not_matter() -> None:
    columns = emulated(np.array([2.0, 0.1, 6.0]), 200, 2)
    mixed = np.random.default_rng(0).permutation(200)
    posterior = fitted({name: values[mixed] for name, values in columns.items()})
    assert posterior.best == pytest.approx(fitted(columns).best)


def test_no_slots_leave_the_middle_of_the_prior() -> None:
    columns = {name: values[:0] for name, values in emulated(np.ones(3), 10, 0).items()}
    posterior = fitted(columns)
    assert posterior.best[:2] == pytest.approx([3.1, 0.11])
    assert posterior.residual_sd == 0.0


def test_a_world_of_the_emulators_form_is_found_and_a_stranger_one_misfits() -> None:
    def restless(observations: Observation) -> Array:
        # Orders that are sometimes too few, so that slots speak.
        drawn = (np.abs(observations[:, 4]) * 1e4).astype(int) % 4
        return drawn[:, None].astype(float)

    same, hidden = simulated(400, seed=3, policy=restless)
    other, _ = simulated(400, seed=3, strength=1.0, policy=restless)
    assert fitted(same).best == pytest.approx(hidden, abs=0.1)
    assert fitted(same).residual_sd == pytest.approx(0.05, abs=0.01)
    assert fitted(other).residual_sd > 0.1
    assert changes(same["ordered"][:-1], same["ordered"][1:]).any()
