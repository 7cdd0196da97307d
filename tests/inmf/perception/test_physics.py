"""Physics of cooperative perception, and the sharing of bandwidth among pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from twintier.inmf.perception.condition import Condition, draw_conditions, stack
from twintier.inmf.perception.physics import (
    CAPACITANCE,
    INFEASIBLE_REWARD_J,
    Physics,
    gain_at,
    gains,
    pair_terms,
    physics_of,
)
from twintier.inmf.radio import path_loss_db, spectral_efficiency
from twintier.inmf.spec import Array, Mask


def physics(condition: Condition) -> Physics:
    return physics_of(stack([condition])[0])


def gain_of_share(
    condition: Condition, objects: Array, distance_m: Array, share_hz: Array
) -> Array:
    """Gain as the page states it: f = demand / (Delta/W - w/R), and no gain beyond the rate cap."""
    of = physics(condition)
    delay_s, bits = condition.delay_requirement_s, 295936.0 * condition.feature_factor
    rate = share_hz * spectral_efficiency(distance_m, np.asarray(condition.noise_db))
    rate = np.minimum(rate, 4.0 * bits * objects / delay_s)
    frequency = of.demand_receiver / (delay_s / objects - bits / rate)
    alone = 2.0 * CAPACITANCE * objects**3 * of.demand_alone**3 / delay_s**2
    together = CAPACITANCE * objects * of.demand_total * frequency**2
    return np.asarray(alone - together)


def best_on_grid(
    condition: Condition, objects: Array, distance_m: Array, bandwidth_hz: float
) -> float:
    """Largest total gain over a fine grid of shares of three pairs."""
    least_hz = pair_terms(physics(condition), objects, distance_m).least_hz
    spare_hz = bandwidth_hz - least_hz.sum()
    part = np.linspace(0.0, 1.0, 301)
    first, second = np.meshgrid(part, part, indexing="ij")
    third = 1.0 - first - second
    inside = third >= -1e-12
    shares = least_hz + spare_hz * np.stack(
        [first[inside], second[inside], np.maximum(third[inside], 0.0)], axis=-1
    )
    return float(gain_of_share(condition, objects, distance_m, shares).sum(axis=-1).max())


def test_the_loss_at_ten_metres_is_as_published() -> None:
    assert path_loss_db(np.array(10.0)) == pytest.approx(67.963, abs=1e-3)
    assert spectral_efficiency(np.array(10.0), np.array(0.0)) == pytest.approx(19.61, abs=0.01)


def test_a_risen_noise_floor_costs_its_share_of_the_rate() -> None:
    lost = spectral_efficiency(np.array(10.0), np.array(0.0)) - spectral_efficiency(
        np.array(10.0), np.array(10.0)
    )
    assert lost == pytest.approx(np.log2(10.0), abs=1e-4)


def test_the_nominal_ratio_of_demands_is_as_published() -> None:
    assert float(physics(Condition()).phi) == pytest.approx(2.858, abs=5e-4)


def test_a_pair_gains_nothing_at_its_least_bandwidth() -> None:
    condition = Condition()
    objects, distance_m = np.array([4.0, 8.0, 25.0]), np.array([6.0, 30.0, 75.0])
    terms = pair_terms(physics(condition), objects, distance_m)
    assert gain_at(terms, terms.limit) == pytest.approx(np.zeros(3), abs=1e-9)
    by_page = gain_of_share(condition, objects, distance_m, terms.least_hz)
    assert by_page == pytest.approx(np.zeros(3), abs=1e-9)


def test_gains_in_units_of_u_are_those_of_the_page() -> None:
    rng = np.random.default_rng(1)
    for condition in draw_conditions(20, rng):
        objects, distance_m = rng.uniform(1.0, 25.0, 3), rng.uniform(2.0, 100.0, 3)
        terms = pair_terms(physics(condition), objects, distance_m)
        rate = rng.uniform(1.6, 4.0)
        share_hz = rate * terms.hertz_per_u
        assert gain_at(terms, rate) == pytest.approx(
            gain_of_share(condition, objects, distance_m, share_hz), rel=1e-9
        )


def test_shares_are_those_of_a_fine_grid_search() -> None:
    rng = np.random.default_rng(2)
    everyone = np.ones(3, bool)
    for condition in draw_conditions(40, rng):
        objects, distance_m = rng.uniform(2.0, 12.0, 3), rng.uniform(6.0, 60.0, 3)
        terms = pair_terms(physics(condition), objects, distance_m)
        bandwidth_hz = float(terms.least_hz.sum() * rng.uniform(1.02, 3.0))
        gain_j, feasible = gains(terms, everyone, np.asarray(bandwidth_hz))
        searched_j = best_on_grid(condition, objects, distance_m, bandwidth_hz)
        assert feasible
        assert gain_j >= searched_j - 1e-6 * abs(searched_j)
        assert gain_j == pytest.approx(searched_j, rel=2e-3)


def test_one_pair_takes_all_up_to_the_rate_cap() -> None:
    terms = pair_terms(physics(Condition()), np.array([6.0]), np.array([18.0]))
    plenty, _ = gains(terms, np.array([True]), np.array(1e9))
    enough, _ = gains(terms, np.array([True]), 4.0 * terms.hertz_per_u[0])
    assert plenty == pytest.approx(float(gain_at(terms, 4.0)[0]))
    assert enough == pytest.approx(float(plenty))


def test_a_set_that_does_not_fit_costs_ten_joules() -> None:
    terms = pair_terms(physics(Condition()), np.full(3, 8.0), np.full(3, 30.0))
    need_hz = terms.least_hz.sum()
    everyone = np.ones(3, bool)
    short, fits = gains(terms, everyone, np.array(need_hz * 0.999))
    assert (float(short), bool(fits)) == (INFEASIBLE_REWARD_J, False)
    assert gains(terms, everyone, np.array(need_hz * 1.001))[1]


def test_nobody_in_cp_is_feasible_without_any_bandwidth() -> None:
    terms = pair_terms(physics(Condition()), np.full(3, 8.0), np.full(3, 30.0))
    gain_j, feasible = gains(terms, np.zeros(3, bool), np.array(0.0))
    assert (float(gain_j), bool(feasible)) == (0.0, True)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Physics, Array, Array, Mask, float]:
    seed = draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    condition = draw_conditions(1, rng)[0]
    modes = np.array(draw(st.lists(st.booleans(), min_size=3, max_size=3)))
    hertz = draw(st.floats(1e5, 4e7))
    return physics(condition), rng.uniform(0.5, 40.0, 3), rng.uniform(1.0, 150.0, 3), modes, hertz


@examples(80)
@given(cases(), st.permutations(range(3)))
def test_the_order_of_pairs_does_not_matter(
    case: tuple[Physics, Array, Array, Mask, float], order: list[int]
) -> None:
    of, objects, distance_m, modes, hertz = case
    here = gains(pair_terms(of, objects, distance_m), modes, np.asarray(hertz))
    there = gains(
        pair_terms(of, objects[order], distance_m[order]), modes[order], np.asarray(hertz)
    )
    assert here[0] == pytest.approx(float(there[0]), rel=1e-6, abs=1e-6)
    assert here[1] == there[1]


@examples(80)
@given(cases(), st.floats(1.0, 3.0))
def test_more_bandwidth_never_gains_less(
    case: tuple[Physics, Array, Array, Mask, float], factor: float
) -> None:
    of, objects, distance_m, modes, hertz = case
    terms = pair_terms(of, objects, distance_m)
    less, _ = gains(terms, modes, np.asarray(hertz))
    more, _ = gains(terms, modes, np.asarray(hertz * factor))
    assert more >= less - 1e-5 * max(1.0, abs(float(less)))


def test_rows_computed_together_are_those_computed_alone() -> None:
    rng = np.random.default_rng(3)
    rows = 200
    conditions = draw_conditions(rows, rng)
    objects, distance_m = rng.uniform(0.0, 20.0, (rows, 3)), rng.uniform(1.0, 80.0, (rows, 3))
    modes, hertz = rng.random((rows, 3)) < 0.6, rng.uniform(1e6, 3e7, rows)
    together, feasible = gains(
        pair_terms(physics_of(stack(conditions)), objects, distance_m), modes, hertz
    )
    for row, condition in enumerate(conditions):
        terms = pair_terms(physics(condition), objects[row], distance_m[row])
        alone, fits = gains(terms, modes[row], np.asarray(hertz[row]))
        assert together[row] == pytest.approx(float(alone), rel=1e-6, abs=1e-5)
        assert feasible[row] == fits
