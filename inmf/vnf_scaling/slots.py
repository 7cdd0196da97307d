"""What a slot of VNF scaling is made of: fields, memory of loads, observation.

Memory is a running mean and variance of the load (EWMA) beside the last three loads. Both the
classical rule and a policy look at them with the load that was measured last.
"""

from dataclasses import dataclass

import numpy as np

from twintier.inmf.contract import Columns, Row
from twintier.inmf.spec import Array, Discrete, Field, InmfSpec, Observation, Windows
from twintier.inmf.vnf_scaling.physics import LOG, MOST_BACKLOG_S, MOST_INSTANCES, STEPS

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
        apart = load - self.mean
        spread = (1.0 - forgetting) * (self.variance + forgetting * apart * apart)
        shifted = np.concatenate([load[..., None], self.before[..., :-1]], axis=-1)
        return Loads(
            np.where(seen[..., None], shifted, load[..., None]),
            np.where(seen, self.mean + forgetting * apart, load),
            np.where(seen, spread, FIRST_VARIANCE),
            np.ones_like(load),
        )

    @property
    def deviation(self) -> Array:
        """Root of the variance."""
        return np.sqrt(self.variance)

    def provision(self, margin: float) -> Array:
        """Capacity that holds the mean and so many deviations."""
        return np.asarray(self.mean + margin * self.deviation)


def features(
    loads: Loads, earliest: Array, backlog_s: Array, capacity: Array, ordered: Array
) -> Observation:
    """Observation (..., FEATURES) float32.

    Args:
        loads: with the load that was measured last.
        earliest: (...) load of three slots before that.
        backlog_s: (...).
        capacity: (...) instances that run.
        ordered: (..., LOG) newest first.
    """
    load, total = loads.before[..., 0], ordered[..., 0]
    seen = (
        capacity / 6.0 - 1.0,
        np.log1p(backlog_s),
        load / 4.0 - 1.0,
        loads.before[..., 1] / 4.0 - 1.0,
        earliest / 4.0 - 1.0,
        (load - earliest) / 3.0,
        loads.mean / 4.0 - 1.0,
        loads.deviation,
        (capacity - load) / 3.0,
        total / 6.0 - 1.0,
        (total - capacity) / 3.0,
        (total - ordered[..., -1]) / 3.0,
        (loads.provision(MARGIN) - total) / 2.0,
        (backlog_s + load - total) / 3.0,
        load / total - 1.0,
    )
    stacked = np.stack(np.broadcast_arrays(*seen), axis=-1)
    return np.asarray(np.clip(stacked, -LIMIT, LIMIT), np.float32)


def observe(rows: Columns) -> Observation:
    """Observations (n, FEATURES) of rows of measured and remembered fields."""
    memory = Loads.of(rows)
    now = memory.followed_by(rows["load"])
    earliest = np.where(memory.seen > 0, memory.before[..., -1], rows["load"])
    return features(now, earliest, rows["backlog_s"], rows["running"], rows["ordered"])
