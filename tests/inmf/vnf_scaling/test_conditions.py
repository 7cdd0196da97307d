"""Seeded events of what is hidden."""

import itertools

import numpy as np
import pytest

from twintier.inmf.check.subject import SITE
from twintier.inmf.traffic import WorldSeed
from twintier.inmf.vnf_scaling.conditions import Condition, ConditionSchedule, apply_event
from twintier.inmf.vnf_scaling.physics import HIDDEN_HIGH, HIDDEN_LOW

NORMAL = Condition(sla_weight=2.0, order_cost=0.1, lag_slots=3)
DAY_S = 86_400.0


def names(schedule: ConditionSchedule) -> list[str]:
    times = np.arange(0.0, DAY_S, 600.0)
    events = [schedule.event_at(float(time_s)) for time_s in times]
    return [name for name, _ in itertools.groupby(event.name for event in events if event)]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("SLA upgrade", Condition(4.4, 0.1, 3)),
        ("slow orchestrator", Condition(2.0, 0.1, 6)),
        ("costly orders", Condition(2.0, 0.16, 3)),
        ("back to normal", NORMAL),
    ],
)
def test_what_an_event_changes(event: str, expected: Condition) -> None:
    changed = apply_event(event, NORMAL)  # type: ignore[arg-type]
    assert changed.as_array() == pytest.approx(expected.as_array())


def test_a_condition_stays_within_the_prior() -> None:
    upgraded = apply_event("SLA upgrade", Condition(5.0, 0.19, 1))
    assert upgraded.sla_weight == 6.0
    for plvn in range(20):
        schedule = ConditionSchedule(SITE, WorldSeed(1, f"plvn-{plvn}"))
        for time_s in np.arange(0.0, DAY_S, 1800.0):
            hidden = schedule.condition_at(float(time_s)).as_array()
            assert (hidden >= HIDDEN_LOW).all()
            assert (hidden <= HIDDEN_HIGH).all()


def test_kinds_alternate_and_two_schedules_of_a_seed_are_one() -> None:
    first, second = (ConditionSchedule(SITE, WorldSeed(3, "plvn")) for _ in range(2))
    assert names(first) == names(second)
    assert len(names(first)) > 15
    assert set(names(first)) == {
        "SLA upgrade",
        "slow orchestrator",
        "costly orders",
        "back to normal",
    }


def test_asking_for_the_past_after_the_future_gives_the_past() -> None:
    asked, fresh = (ConditionSchedule(SITE, WorldSeed(3, "plvn")) for _ in range(2))
    asked.condition_at(DAY_S)
    assert asked.condition_at(5000.0) == fresh.condition_at(5000.0)


def test_no_event_before_the_online_start_nor_in_a_constant_world() -> None:
    late = ConditionSchedule(SITE, WorldSeed(3, "plvn", online_from_s=1000.0))
    assert late.event_at(1000.0 + 2399.0) is None
    still = ConditionSchedule(SITE, WorldSeed(3, "plvn", constant=True))
    assert still.event_at(100 * DAY_S) is None
    assert still.condition_at(DAY_S) == still.normal
