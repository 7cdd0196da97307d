"""Dynamic programming on a known load: the bound, and what each choice is worth.

Whoever knows the load needs no pending orders in the state. An order takes effect `lag - 1` slots
later, whatever happens between, so a plan may be made in the time of effects: there the state is
instances and backlog alone, and before the first effect the log says what runs. This is exact for
every lag. The backlog lies on a grid: rounded down, plans are never worth less than they could be,
and the value is an upper bound; interpolated, it has no bias to speak of.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twintier.inmf.spec import Array
from twintier.inmf.vnf_scaling.physics import (
    COST,
    LAG,
    MOST_BACKLOG_S,
    MOST_INSTANCES,
    STEPS,
    WEIGHT,
    backlog_after,
    delay_of,
    harm,
    service,
)

CAPACITIES = np.arange(1.0, MOST_INSTANCES + 1.0)
LEVELS = 41
"""Backlogs of the teacher's grid."""
BOUND_LEVELS = 201
"""Backlogs of the bound's grid: what is rounded away is given to the planner for nothing."""
TINY = 1e-9
"""A hair up, so that a backlog on a level is not taken for the one below."""
_MORE = [int(step) for step in STEPS if step > 0]
_LESS = [int(-step) for step in STEPS if step < 0]
_TARGETS = np.clip(CAPACITIES[:, None] + STEPS, 1.0, MOST_INSTANCES).astype(np.intp) - 1
"""(capacities, choices): index of the capacity that each choice leads to."""
_CHANGED = np.arange(len(CAPACITIES))[:, None] != _TARGETS


def backward(
    load: Array, hidden: Array, *, gamma: float, levels: int, rounded_down: bool = False
) -> Iterator[tuple[int, Array, Array]]:
    """Best plans on known loads, from the last slot to the first.

    Args:
        load: (episodes, slots) met.
        hidden: (episodes, 3).
        gamma: discount.
        levels: backlogs of the grid.
        rounded_down: backlogs to the next lower level, so that values are upper bounds.

    Yields:
        Slot in the time of effects; what it and all later ones are worth with the instances that
        run in it and the backlog before it, (capacities, episodes, levels); the same with the
        instances before, and the best choice.
    """
    # Capacities come first so that a choice is a shift of whole blocks, which numpy does fastest.
    shape = (len(CAPACITIES), len(load), levels)
    grid = np.linspace(0.0, MOST_BACKLOG_S, levels)
    capacity = CAPACITIES[:, None, None]
    earned = service(capacity)
    paid = np.broadcast_to(paid_late(hidden, gamma)[:, None], shape).copy()
    weight = np.broadcast_to(hidden[:, WEIGHT, None], shape).copy()
    moves = _Moves(load, levels, rounded_down=rounded_down)
    value = np.zeros(shape)
    for slot in range(load.shape[1] - 1, -1, -1):
        later = moves.after(slot, value)
        later *= gamma
        lost = harm(delay_of(backlog_after(grid, load[:, slot, None], capacity), capacity))
        lost *= weight
        worth = np.subtract(earned, lost, out=lost)
        worth += later
        value = _best_choice(worth, paid)
        yield slot, worth, value


class _Moves:
    """Values at every level after a slot's growth of the backlog.

    All levels move alike, so the place between two is the same for all.
    """

    def __init__(self, load: Array, levels: int, *, rounded_down: bool) -> None:
        """Work out how far the backlog moves with loads (episodes, slots)."""
        place = (load.T[:, None] - CAPACITIES[:, None]) * ((levels - 1) / MOST_BACKLOG_S) + TINY
        below = np.floor(place)
        self._part = None if rounded_down else (place - below)[..., None]
        self._moved = np.clip(below, -levels, levels - 1).astype(np.intp) + levels
        # One level more than the grid has: the upper neighbour of the last.
        width = levels if rounded_down else levels + 1
        reached = np.arange(-levels, levels)[:, None] + np.arange(width)
        self._reached = np.clip(reached, 0, levels - 1)
        """(moves, width): the level that each comes to, at most the edge of the grid."""
        rows = np.arange(self._moved[0].size) * levels
        self._rows = np.repeat(rows, width).reshape(*self._moved[0].shape, width)

    def after(self, slot: int, values: Array) -> Array:
        """Values (capacities, episodes, levels) where each level comes to in a slot."""
        places = self._reached.take(self._moved[slot], axis=0)
        places += self._rows
        found: Array = values.take(places)
        if self._part is None:
            return found
        low = found[..., :-1]
        between: Array = found[..., 1:] - low
        between *= self._part[slot]
        between += low
        return between


def _best_choice(worth: Array, paid: Array) -> Array:
    """Best over choices, (capacities before, episodes, levels), of worth by capacity after."""
    best, ordered = worth.copy(), worth - paid
    for step in _MORE:
        np.maximum(best[:-step], ordered[step:], out=best[:-step])
    for step in _LESS:
        np.maximum(best[step:], ordered[:-step], out=best[step:])
    return best


def paid_late(hidden: Array, gamma: float) -> Array:
    """Cost (episodes,) of an order as if it were paid at its effect, `lag - 1` slots later."""
    return np.asarray(hidden[:, COST] * gamma ** (1.0 - hidden[:, LAG]))


@dataclass(frozen=True, slots=True)
class Choices:
    """States in which an order is chosen, each (episodes, states)."""

    effect: npt.NDArray[np.intp]
    """Slot in which the order takes effect."""
    total: Array
    """Instances ordered before."""
    backlog_s: Array
    """When the order takes effect."""


def choice_values(load: Array, hidden: Array, choices: Choices, *, gamma: float) -> Array:
    """What each choice is worth at its effect, (episodes, states, choices).

    An order whose effect lies beyond the known load (episodes, slots) costs, and earns nothing.
    """
    episodes, known = load.shape
    worths = np.empty((known, len(CAPACITIES), episodes, LEVELS))
    for slot, worth, _ in backward(load, hidden, gamma=gamma, levels=LEVELS):
        worths[slot] = worth
    place = choices.backlog_s * ((LEVELS - 1) / MOST_BACKLOG_S)
    below = np.minimum(place.astype(np.intp), LEVELS - 2)
    index = choices.total.astype(np.intp) - 1
    effect = np.minimum(choices.effect, known - 1)[..., None]
    at = (effect, _TARGETS[index], np.arange(episodes)[:, None, None])
    low, high = (worths[*at, below[..., None] + more] for more in (0, 1))
    earned = low + (place - below)[..., None] * (high - low)
    earned[choices.effect >= known] = 0.0
    return np.asarray(earned - paid_late(hidden, gamma)[:, None, None] * _CHANGED[index])


def best_value(value: Array, total: Array, backlog_s: Array) -> Array:
    """Upper bound (episodes,) of `backward` rounded down, at one state of each episode."""
    last = value.shape[-1] - 1
    below = (backlog_s * (last / MOST_BACKLOG_S) + TINY).astype(np.intp)
    return np.asarray(value[total.astype(np.intp) - 1, np.arange(len(total)), below])
