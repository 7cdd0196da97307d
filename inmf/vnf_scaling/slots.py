"""What a slot of VNF scaling is made of: fields, memory of loads, observation.

Memory is a running mean and variance of the load (EWMA) beside the last three loads. Both the
classical rule and a policy look at them with the load that was measured last.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twintier.inmf.contract import Columns, Row
from twintier.inmf.spec import Array, Discrete, Field, InmfSpec, Observation, Windows
from twintier.inmf.vnf_scaling.physics import LOG, MOST_BACKLOG_S, MOST_INSTANCES, STEPS, within

WINDOW = 3
"""Loads that memory holds."""
FORGETTING = 0.2
"""Weight of the newest load in mean and variance; tuned with the rule, see `rule`."""
FIRST_VARIANCE = 0.36
"""Variance before a second load was seen (assumed)."""
MARGIN = 2.0
"""Deviations above the mean that a policy's features look at."""
MOST_LOAD = 100.0
FEATURES = 15
LIMIT = 2.0
"""Observations are clipped here."""

MEASURED = (
    Field("load", "1", low=0.0, high=MOST_LOAD),
    Field("backlog_s", "s", low=0.0, high=MOST_BACKLOG_S),
    Field("running", "1", low=1.0, high=MOST_INSTANCES),
    Field("ordered", "1", (LOG,), low=1.0, high=MOST_INSTANCES),
)
"""Load of the slot before and backlog, both in instances; instances that run; instances that shall
run by the orders of the last slots, newest first."""
REMEMBERED = (
    Field("loads_before", "1", (WINDOW,), low=0.0, high=MOST_LOAD),
    Field("load_mean", "1", low=0.0, high=MOST_LOAD),
    Field("load_variance", "1", low=0.0, high=MOST_LOAD**2),
    Field("load_seen", "flag", low=0.0, high=1.0),
)
"""Of the slots before the load that is measured now; `load_seen` says whether there were any."""
OUTCOME = (
    Field("load_met", "1", low=0.0, high=MOST_LOAD),
    Field("delay_s", "s", low=0.0, high=MOST_BACKLOG_S),
    Field("late", "flag", low=0.0, high=1.0),
)
"""Load that came after the order, delay at the end of the slot, whether it violates the SLA."""

SPEC = InmfSpec(
    inmf="vnf-scaling",
    observation_dim=FEATURES,
    actions=Discrete(len(STEPS)),
    slots=100,
    slot_s=1.0,
    gamma=0.95,
    gae_lambda=0.9,
    reward_unit="1",
    reward_floor=0.03,
    reward_error=0.02,
    windows=Windows(batch=20, exchange=100, retrain=40, cool_down=400, performance=100),
)


@dataclass(frozen=True, slots=True)
class Loads:
    """Memory of loads; arrays (...), and (..., WINDOW) of the newest."""

    before: Array
    mean: Array
    variance: Array
    seen: Array
    """Whether there was a load at all."""

    @classmethod
    def of(cls, rows: Columns) -> "Loads":
        """Memory in remembered fields."""
        return cls(
            rows["loads_before"],
            rows["load_mean"],
            rows["load_variance"],
            rows["load_seen"],
        )

    @classmethod
    def none(cls, episodes: int) -> "Loads":
        """Memory before the first slot."""
        nothing = np.zeros(episodes)
        return cls(np.zeros((episodes, WINDOW)), nothing, nothing, nothing)

    def fields(self) -> Row:
        """Remembered fields."""
        return {
            "loads_before": self.before,
            "load_mean": self.mean,
            "load_variance": self.variance,
            "load_seen": self.seen,
        }

    def followed_by(self, load: Array, forgetting: float = FORGETTING) -> "Loads":
        """Memory after one more load (...)."""
        seen = self.seen > 0
        load = np.asarray(load)
        mean, variance = _tracked(self.mean, self.variance, load, forgetting)
        shifted = np.concatenate([load[..., None], self.before[..., :-1]], axis=-1)
        return Loads(
            np.where(seen[..., None], shifted, load[..., None]),
            np.where(seen, mean, load),
            np.where(seen, variance, FIRST_VARIANCE),
            np.ones_like(load),
        )

    @classmethod
    def after_each(cls, load: Array, forgetting: float = FORGETTING) -> "Loads":
        """Memory after each of the first loads (episodes, slots), as `followed_by` from `none`."""
        slots = np.ascontiguousarray(load.T)
        mean, variance = np.empty_like(slots), np.empty_like(slots)
        mean[0], variance[0] = slots[0], FIRST_VARIANCE
        for slot in range(1, len(slots)):
            mean[slot], variance[slot] = _tracked(
                mean[slot - 1], variance[slot - 1], slots[slot], forgetting
            )
        ago = np.arange(len(slots))[:, None] - np.arange(WINDOW)
        return cls(load[:, np.maximum(ago, 0)], mean.T, variance.T, np.ones_like(load))

    @classmethod
    def stacked(cls, each: Sequence["Loads"]) -> "Loads":
        """Memory of some slots, (slots, episodes)."""
        return cls(
            np.stack([loads.before for loads in each]),
            np.stack([loads.mean for loads in each]),
            np.stack([loads.variance for loads in each]),
            np.stack([loads.seen for loads in each]),
        )

    def by_slot(self) -> "tuple[Loads, ...]":
        """Memory of each slot, of arrays (episodes, slots)."""
        arrays = (self.before, self.mean, self.variance, self.seen)
        slots = zip(*(array.swapaxes(0, 1) for array in arrays), strict=True)
        return tuple(Loads(*slot) for slot in slots)

    @property
    def deviation(self) -> Array:
        """Root of the variance."""
        return np.sqrt(self.variance)

    def provision(self, margin: float) -> Array:
        """Capacity that holds the mean and so many deviations."""
        return np.asarray(self.mean + margin * self.deviation)


def _tracked(mean: Array, variance: Array, load: Array, forgetting: float) -> tuple[Array, Array]:
    """Mean and variance after one more load, all (...)."""
    apart = load - mean
    moved = forgetting * apart
    return mean + moved, (1.0 - forgetting) * (variance + moved * apart)


_SCALES = np.array([6.0, 1, 4, 4, 4, 3, 4, 1, 3, 6, 3, 3, 2, 3, 1])
_OFFSETS = np.array([1.0, 0, 1, 1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1])
"""A feature is a quantity over its scale, less its offset."""


def load_features(loads: Loads, earliest: Array) -> Array:
    """What does not depend on orders, (..., FEATURES), ready for `features`.

    Args:
        loads: with the load that was measured last.
        earliest: (...) load of three slots before that.
    """
    load = loads.before[..., 0]
    known = np.empty((*load.shape, FEATURES))
    known[...] = load[..., None]
    known[..., 3] = loads.before[..., 1]
    known[..., 4] = earliest
    known[..., 5] = load - earliest
    known[..., 6] = loads.mean
    known[..., 7] = loads.deviation
    known[..., 12] = loads.provision(MARGIN)
    return known


def features(known: Array, backlog_s: Array, capacity: Array, ordered: Array) -> Observation:
    """Observation (..., FEATURES) float32.

    Args:
        known: (..., FEATURES) of `load_features`; the load stands where orders come to it.
        backlog_s: (...).
        capacity: (...) instances that run.
        ordered: (..., LOG) newest first.
    """
    total = ordered[..., 0]
    seen = known.copy()
    seen[..., 0] = capacity
    seen[..., 1] = np.log1p(backlog_s)
    seen[..., 8] = capacity - known[..., 8]
    seen[..., 9] = total
    seen[..., 10] = total - capacity
    seen[..., 11] = total - ordered[..., -1]
    seen[..., 12] -= total
    seen[..., 13] = backlog_s + known[..., 13] - total
    seen[..., 14] /= total
    seen /= _SCALES
    seen -= _OFFSETS
    return within(seen, -LIMIT, LIMIT).astype(np.float32)


def observe(rows: Columns) -> Observation:
    """Observations (n, FEATURES) of rows of measured and remembered fields."""
    memory = Loads.of(rows)
    now = memory.followed_by(rows["load"])
    earliest = np.where(memory.seen > 0, memory.before[..., -1], rows["load"])
    known = load_features(now, earliest)
    return features(known, rows["backlog_s"], rows["running"], rows["ordered"])
