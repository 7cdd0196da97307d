"""Instances, backlog and reward, in numbers that can be worked out by hand."""

import numpy as np
import pytest

from twintier.inmf.vnf_scaling.physics import (
    backlog_after,
    harm,
    is_late,
    order,
    reward_of,
    running,
)

LOG = np.array([5.0, 4.0, 4.0, 6.0, 7.0, 8.0])


@pytest.mark.parametrize(("choice", "total"), [(0, 5.0), (1, 4.0), (2, 6.0), (3, 7.0)])
def test_a_choice_orders_none_one_less_one_more_or_two_more(choice: int, total: float) -> None:
    after = order(LOG, np.array(choice))
    assert after.tolist() == [total, 5.0, 4.0, 4.0, 6.0, 7.0]


@pytest.mark.parametrize(
    ("total", "choice", "after"), [(1.0, 1, 1.0), (12.0, 2, 12.0), (11.0, 3, 12.0)]
)
def test_there_are_1_to_12_instances(total: float, choice: int, after: float) -> None:
    assert order(np.full(6, total), np.array(choice))[0] == after


@pytest.mark.parametrize(("lag", "instances"), [(1, 5.0), (3, 4.0), (6, 8.0)])
def test_what_runs_was_ordered_a_lag_ago(lag: int, instances: float) -> None:
    assert running(LOG, np.array(lag)) == instances


@pytest.mark.parametrize(
    ("backlog_s", "load", "capacity", "after"),
    [(1.0, 3.0, 2.0, 2.0), (1.0, 0.5, 4.0, 0.0), (9.0, 5.0, 2.0, 10.0)],
)
def test_the_backlog_is_what_was_not_served_up_to_a_limit(
    backlog_s: float, load: float, capacity: float, after: float
) -> None:
    assert backlog_after(np.array(backlog_s), np.array(load), np.array(capacity)) == after


def test_the_service_agreement_allows_a_tenth_of_a_second() -> None:
    assert is_late(np.array([0.0, 0.1, 0.11])).tolist() == [False, False, True]


def test_harm_is_half_for_lateness_and_half_a_second_up_to_two() -> None:
    assert harm(np.array([0.0, 0.1, 0.4, 3.0])).tolist() == [0.0, 0.05, 0.7, 1.5]


def test_the_reward_of_a_late_slot_with_an_order() -> None:
    hidden = np.array([[2.0, 0.1, 1.0]])
    reward = reward_of(hidden, np.array([3.0]), np.array([0.4]), np.array([True]))
    # 1 - 3/12 instances, less 2 x (0.5 + 0.2) for the delay and 0.1 for the order
    assert reward == pytest.approx([0.75 - 1.4 - 0.1])
