from itertools import pairwise

import numpy as np
import pytest

from twintier.inmf.perception.condition import PRIOR_HIGH, PRIOR_LOW, Condition
from twintier.inmf.perception.events import ConditionSchedule, apply_event
from twintier.inmf.traffic import WorldSeed

PLVN = "toronto-highway-1"
DAY_S = 86_400.0


def schedule(seed: int = 1, plvn: str = PLVN, *, constant: bool = False) -> ConditionSchedule:
    return ConditionSchedule(WorldSeed(seed, plvn, constant=constant), Condition())


def test_events_depend_on_seed_and_plvn_alone() -> None:
    events = schedule().events_until(DAY_S)
    assert schedule().events_until(DAY_S) == events
    assert schedule(seed=2).events_until(DAY_S) != events
    assert schedule(plvn="toronto-highway-2").events_until(DAY_S) != events


def test_looking_back_gives_the_condition_of_that_time() -> None:
    seen = schedule()
    late = seen.condition_at(DAY_S)
    assert seen.condition_at(0.0) == Condition()
    assert seen.condition_at(DAY_S) == late


@pytest.mark.parametrize("seed", range(20))
def test_the_first_event_and_the_gaps_lie_in_their_ranges(seed: int) -> None:
    times = [event.sim_time_s for event in schedule(seed).events_until(DAY_S)]
    gaps = np.diff(times)
    assert 2400.0 <= times[0] <= 3600.0
    assert (gaps >= 2400.0).all()
    assert (gaps <= 4800.0).all()


def test_events_count_from_the_online_start() -> None:
    from_start = schedule().events_until(DAY_S)
    online = ConditionSchedule(WorldSeed(1, PLVN, online_from_s=600.0), Condition())
    later = online.events_until(DAY_S)
    assert later[0].sim_time_s == from_start[0].sim_time_s + 600.0
    assert later[0].condition == from_start[0].condition


@pytest.mark.parametrize("seed", range(20))
def test_kinds_alternate_and_every_event_changes_the_condition(seed: int) -> None:
    start = Condition(noise_db=9.0)
    events = ConditionSchedule(WorldSeed(seed, PLVN), start).events_until(10 * DAY_S)
    conditions = [start, *(event.condition for event in events)]
    names = ["back to normal", *(event.name for event in events)]
    assert all(one != other for one, other in pairwise(names))
    assert all(one != other for one, other in pairwise(conditions))
    for event in events:
        values = event.condition.as_array()
        assert (values >= PRIOR_LOW.as_array()).all()
        assert (values <= PRIOR_HIGH.as_array()).all()


def test_all_kinds_occur() -> None:
    names = {event.name for event in schedule().events_until(10 * DAY_S)}
    assert names == {"rain", "software update", "stricter task", "interference", "back to normal"}


def test_constant_conditions_never_change() -> None:
    assert schedule(constant=True).events_until(100 * DAY_S) == ()
    assert schedule(constant=True).condition_at(100 * DAY_S) == Condition()


def test_each_kind_changes_what_it_is_named_for() -> None:
    start = Condition(noise_db=1.0)
    assert apply_event("rain", start) == Condition(early_exit_ratio=0.1, noise_db=5.0)
    assert apply_event("software update", start) == Condition(feature_factor=1.45, noise_db=1.0)
    assert apply_event("stricter task", start) == Condition(delay_requirement_s=0.085, noise_db=1.0)
    assert apply_event("interference", start) == Condition(noise_db=7.0)
    assert apply_event("interference", Condition(noise_db=5.0)) == Condition(noise_db=0.0)
    assert apply_event("back to normal", start) == start
