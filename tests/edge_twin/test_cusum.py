"""The watches: when they alarm, what they say, and when they keep quiet."""

from collections.abc import Sequence

import numpy as np
import pytest

from twintier.edge_twin.cusum import (
    ALLOWANCE,
    LARGEST_Z,
    THRESHOLD,
    Alarm,
    Block,
    ResidualWatch,
    RewardReference,
    RewardWatch,
)

SLOTS = 15


def block(number: int, z: float) -> Block:
    """Block `number` of a watch, with this many deviations of residual."""
    return Block(SLOTS * number, float(SLOTS * (number + 1)), SLOTS, 1.4 * z, 1.4)


def watch(deviations: Sequence[float]) -> tuple[ResidualWatch, list[Alarm]]:
    state, alarms = ResidualWatch(), []
    for number, z in enumerate(deviations):
        state, alarm = state.update(block(number, z))
        if alarm is not None:
            alarms.append(alarm)
    return state, alarms


def test_the_sum_of_what_exceeds_the_allowance_alarms_beyond_the_threshold() -> None:
    _, alarms = watch([3.0] * 4)
    expected = 4 * (3.0 - ALLOWANCE)
    assert [alarm.value for alarm in alarms] == pytest.approx([expected])
    assert expected > THRESHOLD >= 3 * (3.0 - ALLOWANCE)
    assert alarms[0].threshold == THRESHOLD


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_rewards_above_and_below_the_prediction_alarm_alike(sign: float) -> None:
    _, alarms = watch([sign * 4.0] * 3)
    assert [alarm.value for alarm in alarms] == pytest.approx([3 * (4.0 - ALLOWANCE)])


def test_the_change_point_is_where_the_sum_was_last_zero() -> None:
    _, alarms = watch([1.5, 0.0, 0.0, 3.0, 4.0, 5.0])
    assert len(alarms) == 1
    assert alarms[0].change_slot == 3 * SLOTS
    assert alarms[0].sim_time_s == 6 * SLOTS
    assert alarms[0].reference_n == 6


def test_opposite_errors_do_not_add_up() -> None:
    _, alarms = watch([3.0, -3.0] * 200)
    assert alarms == []


def test_one_freak_block_is_no_change() -> None:
    state, alarms = watch([1e6])
    assert alarms == []
    assert state.up.value == pytest.approx(LARGEST_Z - ALLOWANCE)


def test_after_an_alarm_it_keeps_quiet_for_the_cool_down() -> None:
    _, alarms = watch([3.0] * 60)
    first, second = alarms[:2]
    assert second.sim_time_s >= first.sim_time_s + ResidualWatch().cool_down_s
    assert second.sim_time_s < first.sim_time_s + ResidualWatch().cool_down_s + SLOTS


def test_an_update_leaves_the_watch_as_it_was() -> None:
    state = ResidualWatch()
    state.update(block(0, 5.0))
    assert state == ResidualWatch()


def test_noise_of_the_expected_size_hardly_ever_alarms() -> None:
    rng = np.random.default_rng(1)
    _, alarms = watch(rng.standard_normal(50_000).tolist())
    assert len(alarms) <= 1


def test_a_bias_of_a_fifth_of_a_deviation_hardly_ever_alarms_either() -> None:
    rng = np.random.default_rng(2)
    _, alarms = watch((rng.standard_normal(20_000) + 0.2).tolist())
    assert len(alarms) <= 20


def test_a_reference_needs_thirty_blocks() -> None:
    with pytest.raises(ValueError, match="29 reference blocks are too few"):
        RewardWatch.of(np.ones(29))


def test_falling_rewards_alarm_and_rising_ones_do_not() -> None:
    rng = np.random.default_rng(3)
    start = RewardWatch.of(rng.normal(100.0, 5.0, 100))
    for drop_j, alarmed in ((15.0, True), (-15.0, False)):
        state, alarms = start, []
        for episode in range(30):
            reward_j = float(rng.normal(100.0 - drop_j, 5.0))
            state, alarm = state.update(reward_j, 75 * episode, 75.0 * episode)
            alarms.append(alarm is not None)
        assert any(alarms) is alarmed


def test_correlated_references_widen_the_deviation() -> None:
    rng = np.random.default_rng(4)
    noise = rng.normal(0.0, 1.0, 4000)
    independent = RewardWatch.of(noise)
    smooth = np.empty(4000)
    smooth[0] = noise[0]
    for index in range(1, 4000):
        smooth[index] = 0.5 * smooth[index - 1] + noise[index]
    correlated = RewardWatch.of(smooth)
    assert independent.deviation == pytest.approx(1.0, rel=0.1)
    assert correlated.deviation == pytest.approx(smooth.std() * np.sqrt(3.0), rel=0.1)


def test_blocks_become_a_watch_of_rewards_once_they_are_enough() -> None:
    state: RewardReference | RewardWatch = RewardReference()
    for number in range(30):
        assert isinstance(state, RewardReference)
        state = state.add(float(number % 2))
    assert isinstance(state, RewardWatch)
    assert (state.mean, state.reference_n) == (0.5, 30)
