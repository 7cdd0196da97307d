"""The load model: its noise in closed form, and fits that find what was drawn."""

import numpy as np
import pytest

from twintier.inmf.spec import Array
from twintier.inmf.vnf_scaling.arrivals import LoadModel, fractional_noise

EXPERT = LoadModel()
TRUE = LoadModel(
    mean=6.0,
    level_sd=0.0,
    amplitude=2.0,
    shortest_s=60.0,
    longest_s=60.0,
    noise_sd=0.5,
    hurst=0.6,
)


def drawn(model: LoadModel, slots: int, seed: int = 0) -> Array:
    (load,) = model.draw(1, slots, np.random.default_rng(seed))
    return np.asarray(load)


@pytest.mark.parametrize("hurst", [0.5, 0.7, 0.85])
def test_noise_has_the_covariance_of_its_hurst_parameter(hurst: float) -> None:
    noise = fractional_noise(np.full(4000, hurst), 40, np.random.default_rng(1))
    for lag in (0, 1, 5, 20):
        expected = 0.5 * (
            (lag + 1) ** (2 * hurst) - 2 * lag ** (2 * hurst) + abs(lag - 1) ** (2 * hurst)
        )
        found = (noise[:, lag:] * noise[:, : noise.shape[1] - lag]).mean()
        assert found == pytest.approx(expected, abs=0.03)


def test_no_load_is_below_the_least() -> None:
    low = LoadModel(mean=0.1, noise_sd=2.0)
    assert low.draw(5, 50, np.random.default_rng(0)).min() == 0.05


def test_a_fit_of_many_slots_finds_what_was_drawn() -> None:
    found = EXPERT.fit(drawn(TRUE, 3000))
    assert found.mean == pytest.approx(6.0, abs=0.15)
    assert found.amplitude == pytest.approx(2.0, abs=0.2)
    assert found.shortest_s < 60.0 < found.longest_s
    assert found.longest_s - found.shortest_s < 25.0
    assert found.noise_sd == pytest.approx(0.5, abs=0.08)
    assert found.hurst == pytest.approx(0.6, abs=0.08)
    assert found.level_sd < 0.4


def test_levels_that_differ_between_stretches_are_found() -> None:
    wide = LoadModel(mean=6.0, level_sd=1.5, amplitude=0.0, noise_sd=0.3, hurst=0.5)
    load = wide.draw(40, 150, np.random.default_rng(2)).reshape(-1)
    assert EXPERT.fit(load).level_sd == pytest.approx(1.5, abs=0.35)


def test_few_slots_leave_the_expert_nearly_where_he_was() -> None:
    assert EXPERT.fit(drawn(TRUE, 20)) == EXPERT
    some = EXPERT.fit(drawn(TRUE, 50))
    load = drawn(TRUE, 50)
    assert some.mean == pytest.approx((load.mean() + EXPERT.mean) / 2)


def test_a_fit_to_what_a_fit_draws_stays_there() -> None:
    once = EXPERT.fit(drawn(TRUE, 1500))
    again = once.fit(once.draw(10, 150, np.random.default_rng(4)).reshape(-1))
    assert again.mean == pytest.approx(once.mean, abs=0.3)
    assert again.amplitude == pytest.approx(once.amplitude, abs=0.3)
    assert again.noise_sd == pytest.approx(once.noise_sd, abs=0.1)
