"""Instances, their backlog, and what a slot is worth.

One instance serves 10 kpkt/s. Loads and capacities are counted in instances, so a backlog, in
seconds, is the work that one instance has with it. An order changes how many instances there shall
be, and runs after a lag that nobody is told; the packets of the slot come after the order.
"""

import numpy as np
import numpy.typing as npt

from twintier.inmf.spec import Array, Mask

LEAST_INSTANCES, MOST_INSTANCES = 1.0, 12.0
STEPS = np.array((0.0, -1.0, 1.0, 2.0))
"""Instances ordered by each choice."""
HOLD = 0
MOST_BACKLOG_S = 10.0
DELAY_LIMIT_S = 0.1
"""Longest delay that the service level agreement (SLA) allows."""
MOST_DELAY_S = 2.0
"""A longer delay costs no more."""
LAGS = (1, 3, 6)
"""Slots from an order to its effect; 1 is the slot of the order itself."""
LOG = LAGS[-1]
"""Slots of orders that an orchestrator's log holds."""
WEIGHT, COST, LAG = 0, 1, 2
"""Columns of hidden parameters: weight of the SLA, cost of an order, lag in slots."""
HIDDEN_LOW = np.array((0.2, 0.02, LAGS[0]))
HIDDEN_HIGH = np.array((6.0, 0.2, LAGS[-1]))
EXPECTED = np.array((3.0, 0.1, 3.0))
"""Hidden parameters that an expert expects."""


def order(ordered: Array, choice: npt.NDArray[np.intp]) -> Array:
    """The log (..., LOG), newest first, after choices (...)."""
    after = np.empty_like(ordered)
    after[..., 0] = total_after(ordered[..., 0], choice)
    after[..., 1:] = ordered[..., :-1]
    return after


def total_after(total: Array, choice: npt.NDArray[np.intp]) -> Array:
    """Instances that shall run after choices, both (...)."""
    return within(total + STEPS[choice], LEAST_INSTANCES, MOST_INSTANCES)


def within(values: Array, low: float, high: float) -> Array:
    """As `np.clip`, whose checks cost more than a slot's few numbers."""
    return np.minimum(np.maximum(values, low), high)


def running(ordered: Array, lag: Array) -> Array:
    """Instances that run (...), of a log (..., LOG) and lags (...)."""
    slots = ordered.shape[-1]
    newest = np.arange(0, ordered.size, slots).reshape(ordered.shape[:-1])
    return ordered.take(newest + (np.asarray(lag, np.intp) - 1))


def backlog_after(backlog_s: Array, load: Array, capacity: Array) -> Array:
    """Backlog after a slot, s; what does not fit is dropped."""
    return within(backlog_s + load - capacity, 0.0, MOST_BACKLOG_S)


def delay_of(backlog_s: Array, capacity: Array) -> Array:
    """How long a packet waits that comes last, s."""
    return np.asarray(backlog_s / capacity)


def is_late(delay_s: Array) -> Mask:
    """Whether the SLA is violated."""
    return np.asarray(delay_s > DELAY_LIMIT_S)


def service(capacity: Array) -> Array:
    """Reward of a slot without delay or order."""
    return np.asarray(1.0 - capacity / MOST_INSTANCES)


def harm(delay_s: Array) -> Array:
    """What an SLA of weight 1 loses by a delay."""
    return np.asarray(0.5 * (is_late(delay_s) + np.minimum(delay_s, MOST_DELAY_S)))


def reward_of(hidden: Array, capacity: Array, delay_s: Array, ordered_now: Mask) -> Array:
    """Reward of slots (...), of hidden parameters (..., 3)."""
    lost = hidden[..., WEIGHT] * harm(delay_s) + hidden[..., COST] * ordered_now
    return np.asarray(service(capacity) - lost)


def changes(before: Array, after: Array) -> Mask:
    """Whether an order was given between two logs (..., LOG)."""
    return np.asarray(before[..., 0] != after[..., 0])
