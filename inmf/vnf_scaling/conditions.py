"""What nobody measures of a simulated PLVN, and the seeded events that change it.

The city stands for the class of the SLA, the road for the orchestrator and what its orders cost;
each PLVN adds a part of its own. Events alternate; each holds until the next and then gives way,
and none leaves the range that emulators and meta models are trained on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from twintier.inmf.contract import Site
from twintier.inmf.spec import Array
from twintier.inmf.traffic import WorldSeed
from twintier.inmf.vnf_scaling.physics import HIDDEN_HIGH, HIDDEN_LOW, LAGS

EventName = Literal["SLA upgrade", "slow orchestrator", "costly orders", "back to normal"]

CITY_WEIGHTS = {"toronto": 2.5, "vancouver": 1.0}
"""Weight of the SLA by city (assumed): premium and basic."""
USUAL_WEIGHT = 1.6
OWN_SPREAD = 0.3
"""Deviation of the logarithm of a PLVN's own part (assumed)."""
HIGHWAY_COST, LOCAL_COST = 0.06, 0.12
"""Cost of an order by class of road (assumed)."""
UPGRADE_FACTOR = 2.2
COST_FACTOR = 1.6
FIRST_EVENT_S = (2400.0, 3600.0)
"""Simulated seconds from the online start to the first event (assumed: the loop settles first)."""
EVENT_GAP_S = (2400.0, 4800.0)
"""Simulated seconds between events (assumed: long enough to detect, retrain and benefit)."""
NORMAL_SHARE = 0.25
"""Probability that an event only ends the one before (assumed)."""
_KINDS: tuple[EventName, ...] = ("SLA upgrade", "slow orchestrator", "costly orders")


@dataclass(frozen=True, slots=True)
class Condition:
    """Hidden parameters of a PLVN."""

    sla_weight: float
    order_cost: float
    lag_slots: int

    def as_array(self) -> Array:
        """(3,) in the order of `physics`."""
        return np.array([self.sla_weight, self.order_cost, self.lag_slots])


@dataclass(frozen=True, slots=True)
class ConditionEvent:
    """From `sim_time_s` on, `condition` holds."""

    name: EventName
    sim_time_s: float
    condition: Condition


def normal_condition(site: Site, seed: WorldSeed) -> Condition:
    """The condition of a PLVN without events."""
    rng = seed.generator("vnf-scaling start")
    weight_part, cost_part = np.exp(rng.normal(0.0, OWN_SPREAD, 2))
    highway = site.road.lower() == "highway"
    # Highways are served from farther away, so instances take longer to start (assumed).
    lag = LAGS[1] if highway else LAGS[0]
    weight = CITY_WEIGHTS.get(site.city.lower(), USUAL_WEIGHT) * float(weight_part)
    cost = (HIGHWAY_COST if highway else LOCAL_COST) * float(cost_part)
    return _within(Condition(weight, cost, lag))


def apply_event(name: EventName, normal: Condition) -> Condition:
    """The condition under an event."""
    match name:
        case "SLA upgrade":
            changed = replace(normal, sla_weight=normal.sla_weight * UPGRADE_FACTOR)
        case "slow orchestrator":
            changed = replace(normal, lag_slots=LAGS[LAGS.index(normal.lag_slots) + 1])
        case "costly orders":
            changed = replace(normal, order_cost=normal.order_cost * COST_FACTOR)
        case "back to normal":
            changed = normal
    return _within(changed)


class ConditionSchedule:
    """The hidden condition of one PLVN over simulated time."""

    def __init__(self, site: Site, seed: WorldSeed) -> None:
        """Fix the schedule; it is drawn as far as it is asked for."""
        self.normal = normal_condition(site, seed)
        self._events: list[ConditionEvent] = []
        self._coming = iter(()) if seed.constant else _events(seed, self.normal)
        self._next = next(self._coming, None)

    def event_at(self, sim_time_s: float) -> ConditionEvent | None:
        """The event that holds at this time; times may come in any order."""
        while self._next is not None and self._next.sim_time_s <= sim_time_s:
            self._events.append(self._next)
            self._next = next(self._coming, None)
        past = [event for event in self._events if event.sim_time_s <= sim_time_s]
        return past[-1] if past else None

    def condition_at(self, sim_time_s: float) -> Condition:
        """The condition that holds at this time."""
        event = self.event_at(sim_time_s)
        return event.condition if event else self.normal


def _within(condition: Condition) -> Condition:
    weight, cost, _ = np.clip(condition.as_array(), HIDDEN_LOW, HIDDEN_HIGH)
    return replace(condition, sla_weight=float(weight), order_cost=float(cost))


def _events(seed: WorldSeed, normal: Condition) -> Iterator[ConditionEvent]:
    """Draw events without end: never a kind twice in a row, never two returns in a row."""
    rng = seed.generator("vnf-scaling events")
    at_s = seed.online_from_s + float(rng.uniform(*FIRST_EVENT_S))
    previous: EventName = "back to normal"
    while True:
        ends = previous != "back to normal" and rng.random() < NORMAL_SHARE
        kinds = [kind for kind in _KINDS if kind != previous]
        name = "back to normal" if ends else kinds[int(rng.integers(len(kinds)))]
        yield ConditionEvent(name, at_s, apply_event(name, normal))
        previous = name
        at_s += float(rng.uniform(*EVENT_GAP_S))
