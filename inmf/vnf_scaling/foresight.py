"""Dynamic programming on a known load: the bound, and what each choice is worth.

Whoever knows the load needs no pending orders in the state. An order takes effect `lag - 1` slots
later, whatever happens between, so a plan may be made in the time of effects: there the state is
instances and backlog alone, and before the first effect the log says what runs. This is exact for
every lag. The backlog lies on a grid: rounded down, plans are never worth less than they could be,
and the value is an upper bound; interpolated, it has no bias to speak of.
"""

from collections.abc import Iterator

import numpy as np

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
        run in it and the backlog before it, (episodes, capacities, levels); the same with the
        instances before, and the best choice.
    """
    grid = np.linspace(0.0, MOST_BACKLOG_S, levels)
    capacity = CAPACITIES[:, None]
    paid = paid_late(hidden, gamma)[:, None, None]
    weight = hidden[:, WEIGHT, None, None]
    value = np.zeros((len(load), len(CAPACITIES), levels))
    for slot in range(load.shape[1] - 1, -1, -1):
        met = load[:, slot, None, None]
        following = _moved(value, (met - capacity)[..., 0], rounded_down=rounded_down)
        delay_s = delay_of(backlog_after(grid, met, capacity), capacity)
        worth = service(capacity) - weight * harm(delay_s) + gamma * following
        value = _best_choice(worth, paid)
        yield slot, worth, value


def _moved(values: Array, growth_s: Array, *, rounded_down: bool) -> Array:
    """Values (..., levels) at every level after a growth (...) of the backlog.

    All levels move alike, so the place between two is the same for all.
    """
    last = values.shape[-1] - 1
    place = growth_s * (last / MOST_BACKLOG_S) + TINY
    below = np.floor(place)
    levels = np.arange(last + 1) + below.astype(np.intp)[..., None]
    rows = (np.arange(growth_s.size) * (last + 1)).reshape(*growth_s.shape, 1)
    low: Array = values.take(rows + np.minimum(np.maximum(levels, 0), last))
    if rounded_down:
        return low
    high = values.take(rows + np.minimum(np.maximum(levels + 1, 0), last))
    return np.asarray(low + (place - below)[..., None] * (high - low))


def _best_choice(worth: Array, paid: Array) -> Array:
    """Best over choices, (episodes, capacities before, levels), of worth by capacity after."""
    best, ordered = worth.copy(), worth - paid
    for step in STEPS[STEPS > 0].astype(int):
        best[:, :-step] = np.maximum(best[:, :-step], ordered[:, step:])
    for step in -STEPS[STEPS < 0].astype(int):
        best[:, step:] = np.maximum(best[:, step:], ordered[:, :-step])
    return best


def paid_late(hidden: Array, gamma: float) -> Array:
    """Cost (episodes,) of an order as if it were paid at its effect, `lag - 1` slots later."""
    return np.asarray(hidden[:, COST] * gamma ** (1.0 - hidden[:, LAG]))


def choice_values(worth: Array, paid: Array, total: Array, backlog_s: Array) -> Array:
    """What each choice is worth, (episodes, choices), at one state of each episode.

    Args:
        worth: (episodes, capacities, levels) of `backward`.
        paid: (episodes,) for an order, at its effect.
        total: (episodes,) instances ordered before.
        backlog_s: (episodes,) when the order takes effect.
    """
    index = total.astype(np.intp) - 1
    rows = worth[np.arange(len(worth))[:, None], _TARGETS[index]]
    last = worth.shape[-1] - 1
    place = backlog_s * (last / MOST_BACKLOG_S)
    below = np.minimum(place.astype(np.intp), last - 1)
    low, high = (
        np.take_along_axis(rows, (below + more)[:, None, None], axis=-1)[..., 0] for more in (0, 1)
    )
    between = low + (place - below)[:, None] * (high - low)
    return np.asarray(between - order_costs(paid, total))


def order_costs(paid: Array, total: Array) -> Array:
    """What each choice costs at once, (..., choices), of costs and instances before (...)."""
    return np.asarray(paid[..., None] * _CHANGED[total.astype(np.intp) - 1])


def best_value(value: Array, total: Array, backlog_s: Array) -> Array:
    """Upper bound (episodes,) of `backward` rounded down, at one state of each episode."""
    last = value.shape[-1] - 1
    below = (backlog_s * (last / MOST_BACKLOG_S) + TINY).astype(np.intp)
    return np.asarray(value[np.arange(len(value)), total.astype(np.intp) - 1, below])
