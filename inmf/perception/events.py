"""Seeded events that change a PLVN's hidden condition while everything visible stays.

Each PLVN has its own schedule, drawn from (seed, PLVN) alone. The kinds alternate; each holds from
its event to the next and then gives way, so a condition never leaves the ranges of the prior that
emulators and meta models are trained on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from twintier.inmf.perception.condition import PRIOR_HIGH, PRIOR_LOW, Condition, draw_conditions
from twintier.inmf.traffic import WorldSeed

EventName = Literal["rain", "software update", "stricter task", "interference", "back to normal"]

FIRST_EVENT_S = (2400.0, 3600.0)
"""Simulated seconds from the online start to the first event (assumed: the loop settles first)."""
EVENT_GAP_S = (2400.0, 4800.0)
"""Simulated seconds between events (assumed: long enough to detect, retrain and benefit)."""
NORMAL_SHARE = 0.25
"""Probability that an event only ends the one before (assumed)."""
RAIN_EARLY_EXIT_RATIO = 0.1
RAIN_NOISE_DB = 4.0
UPDATE_FEATURE_FACTOR = 1.45
STRICT_DELAY_S = 0.085
INTERFERENCE_DB = 6.0
"""Rise of the noise floor; a fall where the floor is too high already to rise by that."""

_KINDS: tuple[EventName, ...] = ("rain", "software update", "stricter task", "interference")


@dataclass(frozen=True, slots=True)
class ConditionEvent:
    """From `sim_time_s` on, `condition` holds."""

    name: EventName
    sim_time_s: float
    condition: Condition


def start_condition(seed: WorldSeed, noise_db: float | None = None) -> Condition:
    """The normal condition of a PLVN, drawn from the prior; the noise floor as given, if it is."""
    (drawn,) = draw_conditions(1, seed.generator("start"))
    return drawn if noise_db is None else replace(drawn, noise_db=noise_db)


def apply_event(name: EventName, start: Condition) -> Condition:
    """The condition under an event, starting from the PLVN's normal one, within the prior."""
    match name:
        case "rain":
            changed = replace(
                start,
                early_exit_ratio=RAIN_EARLY_EXIT_RATIO,
                noise_db=start.noise_db + RAIN_NOISE_DB,
            )
        case "software update":
            changed = replace(start, feature_factor=start.feature_factor * UPDATE_FEATURE_FACTOR)
        case "stricter task":
            changed = replace(start, delay_requirement_s=STRICT_DELAY_S)
        case "interference":
            rises = start.noise_db + INTERFERENCE_DB <= PRIOR_HIGH.noise_db
            step_db = INTERFERENCE_DB if rises else -INTERFERENCE_DB
            changed = replace(start, noise_db=start.noise_db + step_db)
        case "back to normal":
            changed = start
    values = np.clip(changed.as_array(), PRIOR_LOW.as_array(), PRIOR_HIGH.as_array())
    return Condition.from_array(values)


class ConditionSchedule:
    """The hidden condition of one PLVN over simulated time."""

    def __init__(self, seed: WorldSeed, start: Condition) -> None:
        """Fix the schedule; it is drawn as far as it is asked for.

        Args:
            seed: says whether there are events at all, and from when on.
            start: the normal condition; holds until the first event.
        """
        self._start = start
        self._events: list[ConditionEvent] = []
        self._coming: Iterator[ConditionEvent] = iter(())
        self._next: ConditionEvent | None = None
        if not seed.constant:
            self._coming = _events(seed.generator("events"), start, seed.online_from_s)
            self._next = next(self._coming)

    def condition_at(self, sim_time_s: float) -> Condition:
        """The condition that holds at this time."""
        past = self.events_until(sim_time_s)
        return past[-1].condition if past else self._start

    def events_until(self, sim_time_s: float) -> tuple[ConditionEvent, ...]:
        """The events up to and including this time, in order."""
        while self._next is not None and self._next.sim_time_s <= sim_time_s:
            self._events.append(self._next)
            self._next = next(self._coming)
        return tuple(event for event in self._events if event.sim_time_s <= sim_time_s)


def _events(
    rng: np.random.Generator, start: Condition, online_from_s: float
) -> Iterator[ConditionEvent]:
    """Draw events without end: never a kind twice in a row, never two returns in a row."""
    at_s = online_from_s + float(rng.uniform(*FIRST_EVENT_S))
    previous: EventName = "back to normal"
    while True:
        ends = previous != "back to normal" and rng.random() < NORMAL_SHARE
        kinds = [kind for kind in _KINDS if kind != previous]
        name = "back to normal" if ends else kinds[int(rng.integers(len(kinds)))]
        yield ConditionEvent(name, at_s, apply_event(name, start))
        previous = name
        at_s += float(rng.uniform(*EVENT_GAP_S))
