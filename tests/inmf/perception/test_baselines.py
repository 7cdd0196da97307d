"""Classical baselines: enumeration with a belief, and packing with an AIMD margin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from twintier.inmf.evaluate import mean_reward
from twintier.inmf.mobility import Presence
from twintier.inmf.perception.baselines import (
    MARGIN_FALL,
    MARGIN_RANGE,
    MARGIN_RISE,
    Aimd,
    aimd_modes,
    enumerate_live,
    enumerate_modes,
    next_margin,
    pack,
    settled_aimd_actions,
)
from twintier.inmf.perception.condition import Condition, draw_conditions, stack
from twintier.inmf.perception.emulator import EmulatorParameters, draw_trace
from twintier.inmf.perception.live import LiveEpisodes, all_modes, outcome
from twintier.inmf.perception.physics import NOMINAL, pair_terms, physics_of

PARAMETERS = EmulatorParameters(presence=(Presence(0.3, 0.2), Presence(), Presence(0.1, 0.1)))
EVERYBODY, NOBODY = np.ones(3, bool), np.zeros(3, bool)


def test_all_modes_begin_with_all_sp() -> None:
    assert all_modes(2).tolist() == [[False, False], [True, False], [False, True], [True, True]]


@examples(50)
@given(st.integers(0, 2**31))
def test_nobody_beats_enumeration_in_the_next_slot(seed: int) -> None:
    rng = np.random.default_rng(seed)
    of = physics_of(stack(draw_conditions(1, rng))[0])
    slot = (rng.uniform(1e6, 3e7), rng.uniform(0.0, 25.0, 3), rng.uniform(1.0, 90.0, 3))
    present, modes_before, other = rng.random((3, 3)) < 0.6
    best = enumerate_modes(of, *slot, present, modes_before=modes_before)
    earned, rival = (
        outcome(of, *slot, present, modes_before=modes_before, modes=modes).reward_j
        for modes in (best, other)
    )
    assert earned >= rival - 1e-9
    assert not (best & ~present).any()


def test_enumeration_of_a_batch_is_enumeration_slot_by_slot() -> None:
    rng = np.random.default_rng(1)
    condition = draw_conditions(1, rng)[0]
    trace = draw_trace(PARAMETERS, 5, 20, rng)
    modes = enumerate_live(LiveEpisodes(trace, condition), condition)
    of = physics_of(stack([condition])[0])
    for episode in range(5):
        last = NOBODY
        for slot in range(20):
            last = enumerate_modes(
                of,
                float(trace.bandwidth_hz[episode, slot]),
                trace.objects[episode, slot],
                trace.distance_m[episode, slot],
                trace.present[episode, slot],
                modes_before=last,
            )
            assert (last == modes[episode, slot]).all()


def test_the_right_belief_beats_the_expert_s() -> None:
    rng = np.random.default_rng(2)
    trace = draw_trace(EmulatorParameters(), 16, 75, rng)
    gaps = []
    for condition in draw_conditions(8, rng):
        batch = LiveEpisodes(trace, condition)
        calibrated = mean_reward(batch, enumerate_live(batch, condition))
        gaps.append(calibrated - mean_reward(batch, enumerate_live(batch, NOMINAL)))
    assert min(gaps) > -0.02
    assert np.mean(gaps) > 0.3


def test_aimd_step_by_step_is_aimd_over_episodes() -> None:
    rng = np.random.default_rng(3)
    trace = draw_trace(PARAMETERS, 6, 40, rng)
    batch = LiveEpisodes(trace, draw_conditions(6, rng))
    modes, margins = aimd_modes(batch)
    seen = batch.played(modes)
    assert seen.infeasible.any()
    for episode in range(6):
        state = Aimd()
        for slot in range(40):
            state, chosen = state.decide(
                float(trace.bandwidth_hz[episode, slot]),
                trace.objects[episode, slot],
                trace.distance_m[episode, slot],
                trace.present[episode, slot],
            )
            assert (chosen == modes[episode, slot]).all()
            state = state.after(infeasible=bool(seen.infeasible[episode, slot]))
        assert state.margin == pytest.approx(float(margins[episode]), abs=1e-12)


def test_the_margin_rises_by_a_factor_and_falls_by_a_step_where_it_was_used() -> None:
    assert next_margin(1.0, EVERYBODY, infeasible=True) == MARGIN_RISE
    assert next_margin(1.0, EVERYBODY, infeasible=False) == pytest.approx(1.0 - MARGIN_FALL)
    assert next_margin(1.0, NOBODY, infeasible=False) == 1.0
    low, high = MARGIN_RANGE
    assert next_margin(high, EVERYBODY, infeasible=True) == high
    assert next_margin(low, EVERYBODY, infeasible=False) == low


def test_packing_takes_what_gains_most_per_hertz_while_it_fits() -> None:
    objects, distance_m = np.array([8.0, 4.0, 6.0]), np.full(3, 12.0)
    nominal = physics_of(stack([NOMINAL])[0])
    need_hz = pair_terms(nominal, objects, distance_m).least_hz
    first_two = need_hz[0] + need_hz[2]
    room = (first_two * 1.001, objects, distance_m)
    assert pack(1.0, *room, EVERYBODY).tolist() == [True, False, True]
    assert pack(1.1, *room, EVERYBODY).tolist() == [True, True, False]
    assert pack(1.0, *room, np.array([False, True, True])).tolist() == [False, True, True]
    assert pack(1.0, 0.0, objects, distance_m, EVERYBODY).tolist() == [False] * 3


def test_a_settled_margin_earns_more_than_the_expert_s_and_less_than_the_bound() -> None:
    rng = np.random.default_rng(4)
    trace = draw_trace(EmulatorParameters(), 60, 75, rng)
    hard = Condition(feature_factor=1.4, delay_requirement_s=0.085, noise_db=6.0)
    batch = LiveEpisodes(trace, hard)
    settled = mean_reward(batch, settled_aimd_actions(batch))
    assert settled > mean_reward(batch, enumerate_live(batch, NOMINAL))
    assert 0.0 < settled < mean_reward(batch, enumerate_live(batch, hard))
