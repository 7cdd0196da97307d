"""The change test: a biased calibration is no change, a change is none of its bias."""

import numpy as np
import pytest

from tests.edge_twin.played import CLEAR, DENSE, RAIN, UPDATED, URBAN, idle, played, rows_of
from tests.support.names import COOP_PERCEPTION
from twintier.edge_twin.jobs import ChangeResult, ChangeTest
from twintier.edge_twin.mirror import joined
from twintier.edge_twin.settings import EdgeSettings
from twintier.inmf.perception.calibration import select
from twintier.inmf.perception.condition import Condition, draw_conditions, stack
from twintier.inmf.perception.emulator import EmulatorParameters
from twintier.inmf.trajectory import Trajectories

THRESHOLD = EdgeSettings().change_threshold


def outcome_of(before: Trajectories, after: Trajectories, *known: Condition) -> ChangeResult:
    guesses = stack(known) if known else np.zeros((0, 0))
    sides = rows_of(before), rows_of(after)
    return ChangeTest(COOP_PERCEPTION, *sides, guesses, THRESHOLD, 1).run()


@pytest.mark.slow
@pytest.mark.parametrize("emulator", [URBAN, DENSE], ids=["urban", "dense"])
@pytest.mark.parametrize("condition", draw_conditions(3, np.random.default_rng(11)))
def test_one_condition_on_both_sides_is_no_change(
    condition: Condition, emulator: EmulatorParameters
) -> None:
    slots = played(condition, 260, 4, emulator=emulator)
    result = outcome_of(select(slots, slice(0, 200)), select(slots, slice(200, 260)))
    assert not result.changed
    assert -1e-6 <= result.statistic <= THRESHOLD


@pytest.mark.parametrize("condition", [RAIN, UPDATED], ids=["rain", "software update"])
def test_another_condition_is_a_change_after_three_blocks(condition: Condition) -> None:
    result = outcome_of(played(CLEAR, 200, 5), played(condition, 45, 6), CLEAR)
    assert result.changed
    assert result.statistic > THRESHOLD


def test_the_joint_calibration_rests_on_both_sides() -> None:
    result = outcome_of(played(CLEAR, 100, 5), played(CLEAR, 50, 6))
    assert result.joint.n_slots == 150
    assert not result.changed


def test_slots_that_say_nothing_are_no_change() -> None:
    result = outcome_of(played(CLEAR, 100, 5), idle(60))
    assert not result.changed
    assert result.statistic == pytest.approx(0.0, abs=1e-6)


def test_the_test_is_repeatable() -> None:
    before, after = played(CLEAR, 100, 5), played(RAIN, 45, 6)
    assert outcome_of(before, after).statistic == outcome_of(before, after).statistic


def test_joined_slots_keep_their_order() -> None:
    first, second = rows_of(played(CLEAR, 3, 1)), rows_of(played(CLEAR, 2, 2))
    both = joined(first, second)
    assert both["reward"].tolist() == [*first["reward"], *second["reward"]]
    assert np.array_equal(both["objects"][3:], second["objects"])
