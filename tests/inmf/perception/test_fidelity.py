"""Fidelity of emulation models on held-out slots."""

from dataclasses import replace

import numpy as np
import pytest

from twintier.inmf.mobility import FIVE_STATE, Chain, Presence
from twintier.inmf.perception.emulator import HIGHWAY, EmulatorParameters, draw_trace
from twintier.inmf.perception.fidelity import Fidelity, fidelity_of
from twintier.inmf.trajectory import Array, Trace

TRUE = EmulatorParameters(presence=(Presence(0.3, 0.2), Presence(), Presence()))


def held_out(seed: int = 1) -> tuple[Trace, Array, Array]:
    """Slots of the true emulator, with rewards measured and true."""
    rng = np.random.default_rng(seed)
    trace = draw_trace(TRUE, 20, 75, rng)
    true_j = rng.normal(1.4, 1.0, (20, 75))
    return trace, true_j + rng.normal(0.0, TRUE.reward_noise_j, true_j.shape), true_j


def test_the_true_emulator_has_almost_no_excess() -> None:
    found = fidelity_of(TRUE, *held_out())
    assert found.worst < 0.15
    assert found.score > 0.85
    assert found.mixing == "by_count"


def test_each_wrong_model_shows_in_its_own_number_only() -> None:
    trace, observed_j, true_j = held_out()
    right = fidelity_of(TRUE, trace, observed_j, true_j)
    other_bandwidth = fidelity_of(replace(TRUE, bandwidth_mean_hz=5e6), trace, observed_j, true_j)
    other_road = replace(
        TRUE,
        objects=Chain(HIGHWAY["objects"], FIVE_STATE),
        distance=Chain(HIGHWAY["distance_m"], FIVE_STATE),
    )
    elsewhere = fidelity_of(other_road, trace, observed_j, true_j)
    assert other_bandwidth.bandwidth > 2.0
    assert replace(other_bandwidth, bandwidth=right.bandwidth) == right
    assert elsewhere.objects > 0.5
    assert elsewhere.distance > 0.4
    assert replace(elsewhere, objects=right.objects, distance=right.distance) == right


def test_a_model_that_scatters_too_much_is_no_better_than_one_that_is_off() -> None:
    trace, observed_j, true_j = held_out()
    wide = replace(TRUE, bandwidth_sd_hz=4 * TRUE.bandwidth_sd_hz)
    assert fidelity_of(wide, trace, observed_j, true_j).bandwidth > 2.0


def test_the_reward_s_excess_is_its_error_in_deviations() -> None:
    trace, observed_j, true_j = held_out()
    silent = replace(TRUE, reward_noise_j=0.0)
    biased = fidelity_of(silent, trace, true_j, true_j + 2.0 * true_j.std())
    assert biased.reward == pytest.approx(2.0)
    noisy = fidelity_of(TRUE, trace, observed_j, true_j)
    assert noisy.reward < 0.15


def test_absent_pairs_do_not_count() -> None:
    trace, observed_j, true_j = held_out()
    broken = np.where(trace.present, trace.objects, 1e6)
    same = Trace(trace.bandwidth_hz, broken, trace.distance_m, trace.present)
    expected = fidelity_of(TRUE, trace, observed_j, true_j)
    assert fidelity_of(TRUE, same, observed_j, true_j) == expected


def test_without_any_step_of_a_pair_nothing_is_held_against_its_chain() -> None:
    trace, observed_j, true_j = held_out()
    nobody = np.zeros_like(trace.present)
    empty = Trace(trace.bandwidth_hz, trace.objects, trace.distance_m, nobody)
    found = fidelity_of(TRUE, empty, observed_j, true_j)
    assert (found.objects, found.distance) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("excess", "mixing"),
    [(0.5, "by_count"), (0.51, "equally"), (2.0, "equally"), (2.01, "true_only")],
)
def test_the_worst_model_decides_how_data_are_mixed(excess: float, mixing: str) -> None:
    found = Fidelity(bandwidth=0.0, objects=excess, distance=0.0, reward=0.1)
    assert found.mixing == mixing
    assert found.score == pytest.approx(1.0 / (1.0 + excess))
