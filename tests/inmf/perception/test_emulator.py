"""Emulated traces have the moments of their parameters; parameters survive a file."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from twintier.inmf.mobility import Chain, Presence
from twintier.inmf.perception.condition import (
    PRIOR_HIGH,
    PRIOR_LOW,
    Condition,
    draw_conditions,
    stack,
)
from twintier.inmf.perception.emulator import EmulatorParameters, draw_trace, expert

RARE = EmulatorParameters(
    bandwidth_mean_hz=4.2e6,
    bandwidth_sd_hz=0.7e6,
    objects=Chain((0.0, 11.5, 25.0), ((0.2, 0.3, 0.5), (0.1, 0.8, 0.1), (0.0, 0.5, 0.5))),
    distance=Chain((3.0, 75.0), ((0.9, 0.1), (0.4, 0.6))),
    presence=(Presence(0.3, 0.2), Presence(), Presence(0.05, 0.01)),
    condition=Condition(1.2, 0.09, 0.25, 3.5, 0.4),
    reward_noise_j=0.5,
)


def test_a_trace_has_the_moments_of_its_parameters() -> None:
    trace = draw_trace(RARE, 300, 100, np.random.default_rng(1))
    assert trace.objects.shape == (300, 100, 3)
    assert trace.bandwidth_hz.mean() == pytest.approx(4.2e6, rel=0.005)
    assert trace.bandwidth_hz.std() == pytest.approx(0.7e6, rel=0.02)
    assert set(np.unique(trace.objects)) == {0.0, 11.5, 25.0}
    assert (trace.distance_m == 3.0).mean() == pytest.approx(0.8, abs=0.02)
    assert trace.present.mean(axis=(0, 1)) == pytest.approx(np.array([0.6, 1.0, 5 / 6]), abs=0.03)


def test_bandwidth_is_never_negative() -> None:
    scarce = replace(RARE, bandwidth_mean_hz=0.1e6, bandwidth_sd_hz=2e6)
    trace = draw_trace(scarce, 50, 50, np.random.default_rng(2))
    assert trace.bandwidth_hz.min() == 0.0


def test_the_same_seed_gives_the_same_trace() -> None:
    one, other = (draw_trace(RARE, 4, 20, np.random.default_rng(3)) for _ in range(2))
    assert (one.bandwidth_hz == other.bandwidth_hz).all()
    assert (one.objects == other.objects).all()
    assert (one.distance_m == other.distance_m).all()
    assert (one.present == other.present).all()


def test_parameters_survive_json() -> None:
    for parameters in (EmulatorParameters(), RARE, expert(city="toronto", road="highway")):
        text = json.dumps(parameters.to_dict(), allow_nan=False)
        assert EmulatorParameters.from_dict(json.loads(text)) == parameters


def test_parameters_that_lack_something_are_refused() -> None:
    values = RARE.to_dict()
    del values["objects"]
    with pytest.raises(ValueError, match="objects is None"):
        EmulatorParameters.from_dict(values)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bandwidth_mean_hz", "6e6"),
        ("bandwidth_sd_hz", float("nan")),
        ("presence", 3),
        ("objects", [1, 2]),
        ("condition", None),
    ],
)
def test_parameters_of_the_wrong_kind_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        EmulatorParameters.from_dict({**RARE.to_dict(), name: value})


def test_an_expert_knows_activity_and_road() -> None:
    rush = expert(city="toronto", road="local", activity="rush")
    night = expert(city="toronto", road="local", activity="night")
    assert (rush.bandwidth_mean_hz, night.bandwidth_mean_hz) == (5e6, 7e6)
    assert expert(city="toronto", road="local").bandwidth_mean_hz == pytest.approx(6e6)
    highway = expert(city="toronto", road="highway")
    assert max(highway.distance.levels) > max(rush.distance.levels)
    assert rush.condition == Condition()


def test_a_plvn_under_another_condition_is_else_the_same() -> None:
    other = Condition(noise_db=9.0)
    assert RARE.in_condition(other) == replace(RARE, condition=other)


@examples(50)
@given(st.integers(0, 2**31))
def test_drawn_conditions_are_in_the_prior(seed: int) -> None:
    drawn = stack(draw_conditions(20, np.random.default_rng(seed)))
    assert (drawn >= PRIOR_LOW.as_array() - 1e-12).all()
    assert (drawn <= PRIOR_HIGH.as_array() + 1e-12).all()


def test_the_feature_factor_is_log_uniform_and_the_rest_uniform() -> None:
    drawn = stack(draw_conditions(20000, np.random.default_rng(4)))
    low, high = PRIOR_LOW.as_array(), PRIOR_HIGH.as_array()
    middle = (low + high) / 2
    middle[0] = np.sqrt(low[0] * high[0])
    assert np.median(drawn, axis=0) == pytest.approx(middle, rel=0.03)


def test_a_condition_s_numbers_come_back_in_field_order() -> None:
    assert RARE.condition.as_array().tolist() == [1.2, 0.09, 0.25, 3.5, 0.4]
    assert Condition.from_array(RARE.condition.as_array()) == RARE.condition
