"""Exogenous emulation models tuned with telemetry."""

from dataclasses import replace

import numpy as np
import pytest

from twintier.inmf.mobility import FIVE_STATE, Chain, Presence
from twintier.inmf.perception.emulator import EmulatorParameters, draw_trace
from twintier.inmf.perception.exogenous import LEVELS, PRIOR_SLOTS, fit_exogenous
from twintier.inmf.trajectory import Trace

EXPERT = EmulatorParameters()
SWAPPED = tuple(tuple(reversed(row)) for row in FIVE_STATE)
REAL = EmulatorParameters(
    bandwidth_mean_hz=5e6,
    bandwidth_sd_hz=0.5e6,
    objects=Chain((4.0, 5.0, 6.0, 7.0, 8.0), SWAPPED),
    distance=Chain((10.0, 40.0), ((0.9, 0.1), (0.3, 0.7))),
    presence=(Presence(0.3, 0.1), Presence(), Presence(0.05, 0.2)),
)


def telemetry(slots: int, parameters: EmulatorParameters = REAL) -> Trace:
    return draw_trace(parameters, 1, slots, np.random.default_rng(1))


def test_much_telemetry_gives_the_real_emulator() -> None:
    fitted = fit_exogenous(telemetry(20_000), EXPERT)
    assert fitted.bandwidth_mean_hz == pytest.approx(5e6, rel=0.005)
    assert fitted.bandwidth_sd_hz == pytest.approx(0.5e6, rel=0.02)
    assert fitted.objects.levels == REAL.objects.levels
    assert np.asarray(fitted.objects.transition) == pytest.approx(np.array(SWAPPED), abs=0.03)
    assert fitted.distance.levels == REAL.distance.levels
    expected = np.asarray(REAL.distance.transition)
    assert np.asarray(fitted.distance.transition) == pytest.approx(expected, abs=0.02)
    for pair, real in zip(fitted.presence, REAL.presence, strict=True):
        assert (pair.appear, pair.leave) == pytest.approx((real.appear, real.leave), abs=0.02)


def test_as_many_slots_as_the_expert_weighs_meet_him_half_way() -> None:
    slots = int(PRIOR_SLOTS)
    trace = telemetry(slots)
    fitted = fit_exogenous(trace, EXPERT)
    half_way = (trace.bandwidth_hz.mean() + EXPERT.bandwidth_mean_hz) / 2
    assert fitted.bandwidth_mean_hz == pytest.approx(half_way)


def test_levels_not_seen_yet_keep_the_expert_s_steps() -> None:
    steady = replace(REAL, objects=Chain((6.0,), ((1.0,),)), presence=(Presence(),) * 3)
    fitted = fit_exogenous(telemetry(30, steady), EXPERT)
    assert fitted.objects.levels == EXPERT.objects.levels
    rows = np.asarray(fitted.objects.transition)
    assert rows[[0, 1, 3, 4]] == pytest.approx(np.asarray(FIVE_STATE)[[0, 1, 3, 4]])
    assert rows[2, 2] > 0.9


def test_continuous_values_become_a_few_levels_in_order() -> None:
    rng = np.random.default_rng(2)
    values = rng.uniform(5.0, 100.0, (1, 800, 3))
    there = np.ones(values.shape, bool)
    fitted = fit_exogenous(Trace(np.full((1, 800), 6e6), values, values, there), EXPERT)
    levels = np.asarray(fitted.distance.levels)
    assert len(levels) == LEVELS
    assert (np.diff(levels) > 0).all()
    assert levels == pytest.approx(5.0 + 95.0 * (np.arange(LEVELS) + 0.5) / LEVELS, rel=0.1)
    assert np.asarray(fitted.distance.transition) == pytest.approx(1 / LEVELS, abs=0.06)


def test_rows_without_a_pair_do_not_count() -> None:
    trace = telemetry(500)
    broken = np.where(trace.present, trace.distance_m, 1e6)
    other = Trace(trace.bandwidth_hz, trace.objects, broken, trace.present)
    assert fit_exogenous(other, EXPERT) == fit_exogenous(trace, EXPERT)


def test_without_any_pair_the_expert_s_chains_stand() -> None:
    trace = telemetry(100)
    nobody = np.zeros_like(trace.present)
    empty = Trace(trace.bandwidth_hz, trace.objects, trace.distance_m, nobody)
    fitted = fit_exogenous(empty, EXPERT)
    assert (fitted.objects, fitted.distance) == (EXPERT.objects, EXPERT.distance)
    assert all(pair.share < 0.05 for pair in fitted.presence)


def test_the_hidden_condition_is_left_alone() -> None:
    assert fit_exogenous(telemetry(100), EXPERT).condition == EXPERT.condition
