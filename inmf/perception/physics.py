"""Cooperative perception: computing demand, efficiency gain, and the sharing of bandwidth.

In u = R / (w W / Delta) the gain of a pair in CP is c (phi^2 - u^2/(u - 1)^2), with
c = kappa W^3 delta~ delta^^2 / Delta^2. It is concave in u between u_min = phi/(phi - 1), where the
gain is 0, and u_max = 4, so equal marginal gains per hertz (KKT) share the bandwidth best. The
multiplier is needed only where pairs compete; Newton's rule finds it for all such rows at once.
"""

from dataclasses import dataclass

import numpy as np

from twintier.inmf.perception.condition import Condition
from twintier.inmf.radio import spectral_efficiency
from twintier.inmf.spec import Array, Mask

CYCLES_EXTRACTION = 120268800 / 30
"""delta1, cycles an object."""
CYCLES_FUSION = 1000 / 30
"""delta2."""
CYCLES_FAST = 9255020 / 30
"""delta3, early-exit inference."""
CYCLES_FULL = 2.3e9 / 30
"""delta4, full inference."""
FEATURE_BITS = 295936.0
"""w, feature data of an object."""
CAPACITANCE = 1e-28
"""kappa, switched capacitance."""
FUSION_EXIT_GAIN = 0.3
"""rho~ - rho: features of two vehicles exit early more often."""
RATE_CAP = 4.0
"""Rate in units of w W / Delta beyond which more is not used (u_max)."""
INFEASIBLE_REWARD_J = -10.0
MOST_STEPS = 16
EXCESS_SHARE = 1e-5
"""Bandwidth by which the shares may miss before the last step, which costs its square."""
TABLE_SIZE = 8192
TINY = 1e-30


@dataclass(frozen=True, slots=True)
class Physics:
    """What a hidden condition makes of demand and rate; arrays broadcast over episodes."""

    delay_s: Array
    feature_bits: Array
    demand_alone: Array
    """delta: cycles an object in SP."""
    demand_total: Array
    """delta~: cycles an object in CP, both vehicles."""
    demand_receiver: Array
    """delta^: the receiver's part of it."""
    noise_db: Array
    switching_cost_j: Array

    @property
    def phi(self) -> Array:
        """Square root of the energy of SP over that of CP at infinite rate."""
        ratio = self.demand_receiver**2 * self.demand_total
        phi: Array = np.sqrt(2.0 * self.demand_alone * self.demand_alone**2 / ratio)
        return phi


def physics_of(conditions: Array) -> Physics:
    """Physics of conditions stacked as (..., 5); each attribute is (...)."""
    factor, delay_s, rho, noise_db, switching = np.moveaxis(np.asarray(conditions, float), -1, 0)
    receiver = (
        CYCLES_EXTRACTION + CYCLES_FUSION + CYCLES_FAST + (1 - rho - FUSION_EXIT_GAIN) * CYCLES_FULL
    )
    return Physics(
        delay_s=delay_s,
        feature_bits=FEATURE_BITS * factor,
        demand_alone=CYCLES_EXTRACTION + CYCLES_FAST + (1 - rho) * CYCLES_FULL,
        demand_total=CYCLES_EXTRACTION + receiver,
        demand_receiver=receiver,
        noise_db=noise_db,
        switching_cost_j=switching,
    )


NOMINAL = Condition(switching_cost_j=0.0)
"""Expert constants: the condition that a classical baseline believes in."""


@dataclass(frozen=True, slots=True)
class PairTerms:
    """What gain and bandwidth of pairs depend on."""

    cost: Array
    """c of each pair (..., pairs), J."""
    hertz_per_u: Array
    """Bandwidth of one unit of u, (..., pairs)."""
    phi: Array
    """(...) or fewer axes: alike for all pairs of a row."""

    @property
    def limit(self) -> Array:
        """u_min: the rate, in units of w W / Delta, at which CP gains nothing; as `phi`."""
        limit: Array = self.phi / (self.phi - 1.0)
        return limit

    @property
    def least_hz(self) -> Array:
        """b_min: bandwidth below which CP loses, (..., pairs)."""
        return self.limit[..., None] * self.hertz_per_u


def pair_terms(physics: Physics, objects: Array, distance_m: Array) -> PairTerms:
    """Terms of pairs (..., pairs); the physics broadcasts over all axes but the last."""
    delay_s, receiver = physics.delay_s, physics.demand_receiver
    per_cube = CAPACITANCE * physics.demand_total * receiver**2 / delay_s**2
    per_object = physics.feature_bits / delay_s
    efficiency = spectral_efficiency(distance_m, np.asarray(physics.noise_db)[..., None])
    return PairTerms(
        cost=np.asarray(per_cube)[..., None] * (objects * objects * objects),
        hertz_per_u=np.asarray(per_object)[..., None] * objects / efficiency,
        phi=np.asarray(physics.phi),
    )


def gain_at(terms: PairTerms, rate: float | Array) -> Array:
    """Gain in J of pairs at u, (..., pairs), with f = demand / (Delta/W (1 - 1/u))."""
    gain: Array = terms.cost * (terms.phi[..., None] ** 2 - _slowdown(rate))
    return gain


def gains(terms: PairTerms, cooperating: Mask, bandwidth_hz: Array) -> tuple[Array, Mask]:
    """Total gain of each set of cooperating pairs, and whether it fits.

    Returns:
        (...) J: 0 with nobody in CP, -10 for a set that does not fit; and (...) feasible.
    """
    hertz = terms.hertz_per_u * cooperating
    total_hz = _over_pairs(hertz)
    cost = _over_pairs(terms.cost * cooperating)
    feasible = total_hz * terms.limit <= bandwidth_hz
    alike = np.minimum(bandwidth_hz / np.maximum(total_hz, TINY), RATE_CAP)
    alike = np.maximum(alike, terms.limit)
    gain_j = np.where(feasible, cost * (terms.phi**2 - _slowdown(alike)), INFEASIBLE_REWARD_J)
    several = _over_pairs(cooperating.astype(np.int8)) > 1
    competing = np.flatnonzero(feasible & several & (alike < RATE_CAP))
    if competing.size:
        rows = gain_j.shape

        def chosen(array: Array) -> Array:
            return np.broadcast_to(array, rows).reshape(-1)[competing]

        def chosen_pairs(array: Array) -> Array:
            flat = np.broadcast_to(array, (*rows, array.shape[-1])).reshape(-1, array.shape[-1])
            return np.ascontiguousarray(flat[competing].T)

        gain_j.reshape(-1)[competing] = _shared_gain(
            chosen_pairs(terms.cost),
            chosen_pairs(hertz),
            chosen(np.asarray(bandwidth_hz)),
            chosen(terms.phi),
            chosen(alike),
        )
    return gain_j, feasible


def _over_pairs(array: Array) -> Array:
    """Sum over the last axis, which is short: adding columns is several times faster."""
    total: Array = array[..., 0]
    for pair in range(1, array.shape[-1]):
        total = total + array[..., pair]
    return total


def _slowdown(rate: float | Array) -> Array:
    slowdown: Array = (np.asarray(rate) / (np.asarray(rate) - 1.0)) ** 2
    return slowdown


def _inverse_marginal() -> Array:
    """Values of u on an even grid of log(u / (u-1)^3), from u = 4 upwards."""
    log_excess = np.linspace(np.log(RATE_CAP - 1.0), np.log(LEAST_EXCESS), 4 * TABLE_SIZE)
    rate = 1.0 + np.exp(log_excess)
    grid = np.linspace(LOG_MARGINAL_LOW, LOG_MARGINAL_HIGH, TABLE_SIZE)
    return np.interp(grid, np.log(rate) - 3.0 * log_excess, rate)


LEAST_EXCESS = 0.05
"""u - 1 at the end of the table; u_min is about 1.5 for every condition of the prior."""
LOG_MARGINAL_LOW = float(np.log(RATE_CAP) - 3.0 * np.log(RATE_CAP - 1.0))
LOG_MARGINAL_HIGH = float(np.log(1.0 + LEAST_EXCESS) - 3.0 * np.log(LEAST_EXCESS))
_TABLE_STEP = (LOG_MARGINAL_HIGH - LOG_MARGINAL_LOW) / (TABLE_SIZE - 1)
_RATES = _inverse_marginal()
_RISES = np.append(np.diff(_RATES), 0.0)


def _shared_gain(cost: Array, hertz: Array, bandwidth_hz: Array, phi: Array, alike: Array) -> Array:
    """Largest gain of rows whose pairs compete: 2 c u / (u - 1)^3 / h is alike for all of them.

    Args:
        cost: (pairs, rows).
        hertz: (pairs, rows) bandwidth of one unit of u, 0 for pairs in SP.
        bandwidth_hz: (rows,) enough for all at u_min, too little for all at 4.
        phi: (rows,).
        alike: (rows,) u if all had the same; where the search begins.

    Returns:
        (rows,) J.
    """
    on = hertz > 0.0
    limit = phi / (phi - 1.0)
    weight = np.log(np.where(on, cost, 1.0) / np.where(on, hertz, 1.0))
    level = (hertz * weight).sum(axis=0) / hertz.sum(axis=0) + _log_marginal(alike)
    low = np.where(on, weight, np.inf).min(axis=0) + LOG_MARGINAL_LOW
    high = np.where(on, weight, -np.inf).max(axis=0) + _log_marginal(limit)
    for _ in range(MOST_STEPS):
        rate, slope, excess_hz = _rates_at(level - weight, hertz, bandwidth_hz, limit)
        if (np.abs(excess_hz) <= EXCESS_SHARE * bandwidth_hz).all():
            break
        too_much = excess_hz > 0.0
        low, high = np.where(too_much, level, low), np.where(too_much, high, level)
        level = level + excess_hz / np.maximum((hertz * slope).sum(axis=0), TINY)
        level = np.where((level >= low) & (level <= high), level, 0.5 * (low + high))
    last = excess_hz / np.maximum((hertz * slope).sum(axis=0), TINY)
    rate = np.clip(rate - slope * last, limit, RATE_CAP)
    gain: Array = (np.where(on, cost, 0.0) * (phi**2 - _slowdown(rate))).sum(axis=0)
    return gain


def _log_marginal(rate: Array) -> Array:
    return np.log(rate) - 3.0 * np.log(rate - 1.0)


def _rates_at(
    log_marginal: Array, hertz: Array, bandwidth_hz: Array, limit: Array
) -> tuple[Array, Array, Array]:
    """Rate at a marginal gain (pairs, rows), how fast it falls with it, and the excess (rows,)."""
    position = (log_marginal - LOG_MARGINAL_LOW) / _TABLE_STEP
    position = np.minimum(np.maximum(position, 0.0), TABLE_SIZE - 1.0)
    index = position.astype(np.int32)
    rate = _RATES[index] + (position - index) * _RISES[index]
    free = (rate > limit) & (rate < RATE_CAP)
    rate = np.maximum(rate, limit)
    slope = free * rate * (rate - 1.0) / (2.0 * rate + 1.0)
    return rate, slope, (hertz * rate).sum(axis=0) - bandwidth_hz
