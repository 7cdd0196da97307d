"""The watch on emulated slots: quiet without change, quick after one."""

import numpy as np
import pytest

from tests.edge_twin.played import CLEAR, RAIN, UPDATED, idle, played, rows_of
from twintier.edge_twin.cusum import Alarm, Block, ResidualWatch
from twintier.inmf.contract import Columns
from twintier.inmf.perception.condition import Condition
from twintier.inmf.perception.inmf import PerceptionCalibration

BLOCK = 15
CALIBRATION = PerceptionCalibration()
NOTHING = np.zeros((0, 5))


def blocks_of(condition: Condition, count: int, seed: int) -> list[Columns]:
    rows = rows_of(played(condition, count * BLOCK, seed))
    starts = range(0, count * BLOCK, BLOCK)
    return [{name: array[at : at + BLOCK] for name, array in rows.items()} for at in starts]


def watched(condition: Condition, count: int, seed: int) -> list[Alarm]:
    """Alarms of a watch whose calibration knows `CLEAR`."""
    rng = np.random.default_rng(seed)
    known = CALIBRATION.fit(rows_of(played(CLEAR, 225, seed)), NOTHING, rng)
    watch, alarms = ResidualWatch(), []
    for number, slots in enumerate(blocks_of(condition, count, seed + 50)):
        seen = Block.of(slots, CALIBRATION, known, number * BLOCK, float(number * BLOCK))
        watch, alarm = watch.update(seen)
        alarms += [alarm] if alarm else []
    return alarms


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_without_change_there_is_no_alarm(seed: int) -> None:
    assert watched(CLEAR, 300, seed) == []


@pytest.mark.parametrize("condition", [RAIN, UPDATED], ids=["rain", "software update"])
def test_a_change_is_found_within_ten_blocks(condition: Condition) -> None:
    first, *_ = watched(condition, 10, 1)
    assert first.change_slot <= 3 * BLOCK


def test_a_block_counts_only_the_slots_that_say_something() -> None:
    rng = np.random.default_rng(1)
    known = CALIBRATION.fit(rows_of(played(CLEAR, 225, 1)), NOTHING, rng)
    seen = Block.of(rows_of(idle(BLOCK)), CALIBRATION, known, 30, 30.0)
    assert (seen.slots, seen.residual) == (0, 0.0)


def test_a_block_that_says_nothing_leaves_the_watch_as_it_is() -> None:
    watch, _ = ResidualWatch().update(Block(0, 0.0, BLOCK, 5.0, 2.0))
    assert watch.up.value > 0.0
    assert watch.update(Block(BLOCK, 15.0, 0, 0.0, 0.0)) == (watch, None)
