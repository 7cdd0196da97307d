"""Variant `live`: observations, masks, limits, and one form for slot and batch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from twintier.inmf.mobility import Presence
from twintier.inmf.perception.condition import Condition, draw_conditions, stack
from twintier.inmf.perception.emulator import EmulatorParameters, draw_trace
from twintier.inmf.perception.live import (
    COOP_PERCEPTION,
    MODES_BEFORE,
    LiveEpisodes,
    all_modes,
    before,
    observe,
    outcome,
)
from twintier.inmf.perception.physics import physics_of
from twintier.inmf.trajectory import Mask, ShapeError, Trace

PARAMETERS = EmulatorParameters(presence=(Presence(0.3, 0.2), Presence(), Presence(0.1, 0.1)))
NOBODY = np.zeros(3, bool)
EVERYBODY = np.ones(3, bool)
USUAL = Condition()


def reward(
    condition: Condition = USUAL,
    *,
    modes: Mask = EVERYBODY,
    bandwidth_hz: float = 6e6,
    objects: tuple[float, ...] = (6.0, 5.0, 4.0),
    distance_m: tuple[float, ...] = (12.0, 18.0, 6.0),
    present: Mask = EVERYBODY,
    modes_before: Mask = NOBODY,
) -> float:
    seen = outcome(
        physics_of(stack([condition])[0]),
        bandwidth_hz,
        np.array(objects),
        np.array(distance_m),
        present,
        modes_before=modes_before,
        modes=modes,
    )
    return float(seen.reward_j)


@pytest.fixture(name="batch", scope="module")
def _batch() -> LiveEpisodes:
    rng = np.random.default_rng(3)
    return LiveEpisodes(draw_trace(PARAMETERS, 12, 30, rng), draw_conditions(12, rng))


def test_an_observation_holds_scaled_numbers_in_this_order() -> None:
    seen = observe(
        7.5e6,
        np.array([10.0, 20.0, 4.0]),
        np.array([75.0, 15.0, 30.0]),
        np.array([True, True, False]),
        np.array([False, True, True]),
    )
    assert seen.dtype == np.float32
    expected = [0.5, 0.5, 1.0, 0.0, 1.0, 0.2, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0]
    assert seen == pytest.approx(np.array(expected), abs=1e-6)


def test_an_observation_is_clipped_at_three() -> None:
    seen = observe(40e6, np.full(3, 90.0), np.full(3, 900.0), EVERYBODY, NOBODY)
    assert seen[:7].tolist() == [3.0] * 7
    assert observe(-9e6, np.zeros(3), np.zeros(3), EVERYBODY, NOBODY)[0] == -3.0


def test_the_action_of_an_absent_pair_does_nothing() -> None:
    away = np.array([True, False, True])
    chosen = np.array([True, False, True])
    assert reward(modes=EVERYBODY, present=away) == reward(modes=chosen, present=away)
    assert reward(modes=NOBODY, modes_before=~away, present=away) == 0.0


def test_a_pair_without_objects_gains_nothing_and_needs_nothing() -> None:
    idle = (6.0, 0.0, 4.0)
    costless = Condition(switching_cost_j=0.0)
    without = reward(costless, modes=np.array([True, False, True]), objects=idle)
    assert reward(costless, modes=EVERYBODY, objects=idle) == without
    assert reward(costless, modes=EVERYBODY, objects=(0.0, 0.0, 0.0), bandwidth_hz=0.0) == 0.0


def test_workload_and_distance_are_clipped() -> None:
    most = reward(objects=(40.0, 5.0, 4.0), distance_m=(150.0, 1.0, 6.0), bandwidth_hz=1e9)
    beyond = reward(objects=(400.0, 5.0, 4.0), distance_m=(151.0, 0.0, 6.0), bandwidth_hz=1e9)
    assert beyond == most


def test_every_present_pair_that_changes_pays() -> None:
    for cost_j, modes_before in ((0.25, NOBODY), (0.25, np.array([True, False, False]))):
        free = reward(Condition(switching_cost_j=0.0), modes_before=modes_before)
        paid = reward(Condition(switching_cost_j=cost_j), modes_before=modes_before)
        assert free - paid == pytest.approx(cost_j * (modes_before != EVERYBODY).sum())


def test_modes_that_do_not_fit_cost_ten_joules_and_the_switching() -> None:
    dear = Condition(switching_cost_j=0.5)
    assert reward(dear, bandwidth_hz=1e5) == pytest.approx(-10.0 - 3 * 0.5)


def test_slot_by_slot_is_the_batch(batch: LiveEpisodes) -> None:
    trace = batch.trace
    rng = np.random.default_rng(4)
    modes = (rng.random(trace.present.shape) < 0.5) & trace.present
    earlier = before(modes)
    seen, rewards = batch.observe_after(earlier), batch.played(modes)
    for episode in range(batch.episodes):
        of = physics_of(batch.conditions[episode])
        for slot in range(trace.slots):
            here = (
                float(trace.bandwidth_hz[episode, slot]),
                trace.objects[episode, slot],
                trace.distance_m[episode, slot],
                trace.present[episode, slot],
            )
            was, does = earlier[episode, slot], modes[episode, slot]
            assert (observe(*here, was) == seen[episode, slot]).all()
            alone = outcome(of, *here, modes_before=was, modes=does)
            together = rewards.reward_j[episode, slot]
            assert float(alone.reward_j) == pytest.approx(float(together), abs=1e-6)
            assert alone.infeasible == rewards.infeasible[episode, slot]


def test_the_slot_form_of_the_batch_sees_what_the_whole_form_sees(batch: LiveEpisodes) -> None:
    chosen = np.random.default_rng(5).random(batch.trace.present.shape) < 0.5
    whole = batch.observe_after(before(chosen & batch.trace.present))
    memory = batch.first_memory()
    for slot in range(batch.trace.slots):
        assert (batch.observe(slot, memory) == whole[:, slot]).all()
        memory = batch.remember(slot, memory, chosen[:, slot])


def test_the_batch_carries_no_choice_of_an_absent_pair_over(batch: LiveEpisodes) -> None:
    chosen = np.random.default_rng(6).random(batch.trace.present.shape) < 0.5
    done = chosen & batch.trace.present
    assert (batch.rewards(chosen) == batch.rewards(done)).all()
    for slot in range(batch.trace.slots):
        memory = batch.remember(slot, batch.first_memory(), chosen[:, slot])
        assert (memory[MODES_BEFORE] == done[:, slot]).all()


def test_every_choice_is_scored_after_what_was_played(batch: LiveEpisodes) -> None:
    played = np.random.default_rng(8).random(batch.trace.present.shape) < 0.5
    scores = batch.scores(played)
    assert scores.shape == (12, 30, 8)
    index = (played * (1 << np.arange(3))).sum(axis=-1)
    of_played = np.take_along_axis(scores, index[..., None], axis=-1)[..., 0]
    assert of_played.tolist() == batch.rewards(played).tolist()
    other = np.broadcast_to(all_modes(3)[5], played.shape)
    earlier = before(played & batch.trace.present)
    assert scores[..., 5].tolist() == batch.outcome(earlier, other).reward_j.tolist()


def test_live_episodes_are_not_observed_at_once(batch: LiveEpisodes) -> None:
    with pytest.raises(NotImplementedError, match="slot by slot"):
        batch.observe_all()


def test_a_batch_of_conditions_is_one_batch_of_each(batch: LiveEpisodes) -> None:
    trace = batch.trace
    modes = np.random.default_rng(7).random(trace.present.shape) < 0.5
    together = batch.rewards(modes)
    for episode in range(batch.episodes):
        rows = slice(episode, episode + 1)
        own = Trace(
            trace.bandwidth_hz[rows],
            trace.objects[rows],
            trace.distance_m[rows],
            trace.present[rows],
        )
        alone = LiveEpisodes(own, Condition.from_array(batch.conditions[episode]))
        rewards = alone.rewards(modes[rows])[0]
        assert rewards == pytest.approx(together[episode], abs=1e-6)


@examples(60)
@given(
    st.integers(0, 2**31),
    st.lists(st.floats(0.0, 1e3), min_size=3, max_size=3),
    st.lists(st.floats(0.0, 1e4), min_size=3, max_size=3),
    st.floats(0.0, 1e9),
)
def test_any_traffic_gives_finite_rewards_and_observations_in_range(
    seed: int, objects: list[float], distance_m: list[float], bandwidth_hz: float
) -> None:
    rng = np.random.default_rng(seed)
    present, modes, modes_before = rng.random((3, 3)) < 0.5
    condition = draw_conditions(1, rng)[0]
    values = (bandwidth_hz, np.array(objects), np.array(distance_m), present)
    seen = observe(*values, modes_before)
    assert np.isfinite(seen).all()
    assert np.abs(seen).max() <= 3.0
    of = physics_of(stack([condition])[0])
    earned = outcome(of, *values, modes_before=modes_before, modes=modes)
    lowest = -10.0 - 3 * condition.switching_cost_j
    assert lowest - 1e-9 <= float(earned.reward_j) < 1e5


def test_conditions_that_fit_no_episodes_are_refused() -> None:
    trace = draw_trace(PARAMETERS, 3, 5, np.random.default_rng(8))
    with pytest.raises(ShapeError, match="2 conditions and 3 pairs do not fit 3 episodes"):
        LiveEpisodes(trace, [Condition(), Condition()])


def test_arrays_of_other_shapes_are_no_trace() -> None:
    ones = np.ones((2, 5, 3))
    with pytest.raises(ShapeError, match=r"objects \(2, 5, 3\) must be"):
        Trace(np.ones((2, 4)), ones, ones, ones > 0)
    with pytest.raises(ShapeError, match=r"distance_m \(2, 5, 2\) and present"):
        Trace(np.ones((2, 5)), ones, ones[..., :2], ones > 0)


def test_the_declared_spec_is_the_platform_s() -> None:
    spec = COOP_PERCEPTION
    assert (spec.inmf, spec.observation_dim, spec.action_dim) == ("coop-perception", 13, 3)
    assert (spec.slots, spec.slot_s, spec.gamma, spec.gae_lambda) == (75, 1.0, 0.9, 0.3)
