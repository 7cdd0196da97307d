"""Cooperative perception: computing demand, efficiency gain, and the sharing of bandwidth.

In u = R / (w W / Delta) the gain of a pair in CP is a - c u^2/(u - 1)^2 with
a = 2 kappa W^3 delta^3 / Delta^2 and c = kappa W^3 delta~ delta^^2 / Delta^2. It is concave in u
between u_min = 1/(1 - 1/phi), where the gain is 0, and u_max = 4, so equal marginal gains per hertz
(KKT) share the bandwidth best; the multiplier is found by bisection for all rows at once.
"""

from dataclasses import dataclass

import numpy as np

from inmf.condition import Condition
from inmf.radio import spectral_efficiency
from inmf.trajectory import Array, Mask

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
BISECTIONS = 16
TABLE_SIZE = 8192
TINY = 1e-300


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
    def limit(self) -> Array:
        """u_min: the rate, in units of w W / Delta, at which CP gains nothing."""
        phi = np.sqrt(2.0 * self.demand_alone**3 / (self.demand_receiver**2 * self.demand_total))
        return 1.0 / (1.0 - 1.0 / phi)


def physics_of(conditions: Array) -> Physics:
    """Physics of conditions stacked as (..., 5); each attribute is (...)."""
    factor, delay_s, rho, noise_db, switching = np.moveaxis(np.asarray(conditions, float), -1, 0)
    fusion = rho + FUSION_EXIT_GAIN
    return Physics(
        delay_s=delay_s,
        feature_bits=FEATURE_BITS * factor,
        demand_alone=CYCLES_EXTRACTION + CYCLES_FAST + (1 - rho) * CYCLES_FULL,
        demand_total=2 * CYCLES_EXTRACTION
        + CYCLES_FUSION
        + CYCLES_FAST
        + (1 - fusion) * CYCLES_FULL,
        demand_receiver=CYCLES_EXTRACTION
        + CYCLES_FUSION
        + CYCLES_FAST
        + (1 - fusion) * CYCLES_FULL,
        noise_db=noise_db,
        switching_cost_j=switching,
    )


NOMINAL = Condition(switching_cost_j=0.0)
"""Expert constants: the condition that a classical baseline believes in."""


@dataclass(frozen=True, slots=True)
class PairTerms:
    """Per pair: what its gain and its bandwidth depend on; all (..., pairs)."""

    gain_alone: Array
    """a, J."""
    gain_rate: Array
    """c, J."""
    hertz_per_u: Array
    """Bandwidth of one unit of u."""
    limit: Array
    """u_min, broadcast."""

    @property
    def least_hz(self) -> Array:
        """b_min: bandwidth below which CP loses."""
        return self.limit * self.hertz_per_u


def pair_terms(physics: Physics, objects: Array, distance_m: Array) -> PairTerms:
    """Terms of pairs (..., pairs); the physics broadcasts over all axes but the last."""

    def wide(value: Array) -> Array:
        return np.asarray(value)[..., None]

    delay = wide(physics.delay_s)
    cubed = CAPACITANCE * objects**3 / delay**2
    efficiency = spectral_efficiency(distance_m, wide(physics.noise_db))
    return PairTerms(
        gain_alone=2.0 * cubed * wide(physics.demand_alone) ** 3,
        gain_rate=cubed * wide(physics.demand_total) * wide(physics.demand_receiver) ** 2,
        hertz_per_u=wide(physics.feature_bits) * objects / (delay * efficiency),
        limit=np.broadcast_to(wide(physics.limit), np.shape(objects)),
    )


def gain_at(terms: PairTerms, rate: Array) -> Array:
    """Gain in J of pairs at u, with f = demand / (Delta/W (1 - 1/u))."""
    return terms.gain_alone - terms.gain_rate * (rate / (rate - 1.0)) ** 2


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


def best_rates(terms: PairTerms, cooperating: Mask, bandwidth_hz: Array) -> Array:
    """Best u of each cooperating pair, (..., pairs), for sets that fit into the bandwidth.

    The marginal gain per hertz is 2 c u / (u - 1)^3 / h; where all can have u_max, all do.

    Args:
        terms: of the pairs.
        cooperating: (..., pairs) pairs in CP.
        bandwidth_hz: (...) to be shared.

    Returns:
        u in [u_min, 4]; what stands for pairs in SP has no meaning.
    """
    hertz = np.where(cooperating, terms.hertz_per_u, 0.0)
    total_hertz = hertz.sum(axis=-1)
    alike = bandwidth_hz / np.maximum(total_hertz, TINY)
    rate: Array = np.clip(alike[..., None], terms.limit, RATE_CAP)
    shared = (alike < RATE_CAP) & (cooperating.sum(axis=-1) > 1)
    shared &= (hertz * terms.limit).sum(axis=-1) <= bandwidth_hz
    if shared.any():
        rate[shared] = _shared_rates(
            PairTerms(
                terms.gain_alone[shared],
                terms.gain_rate[shared],
                terms.hertz_per_u[shared],
                terms.limit[shared],
            ),
            cooperating[shared],
            np.broadcast_to(bandwidth_hz, shared.shape)[shared],
        )
    return rate


def _shared_rates(terms: PairTerms, cooperating: Mask, bandwidth_hz: Array) -> Array:
    """Bisection on the multiplier, for the few slots whose pairs compete; (rows, pairs)."""
    hertz = np.where(cooperating, terms.hertz_per_u, 0.0)
    safe = np.where(cooperating, 2.0 * terms.gain_rate / np.maximum(hertz, TINY), 1.0)
    weight = np.log(np.maximum(safe, TINY))
    at_limit = np.log(terms.limit) - 3.0 * np.log(terms.limit - 1.0)
    low = np.where(cooperating, weight, np.inf).min(axis=-1) + LOG_MARGINAL_LOW
    high = np.where(cooperating, weight + at_limit, -np.inf).max(axis=-1)
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        rate = _rates_at(terms, weight, middle)
        too_much = (hertz * rate).sum(axis=-1) > bandwidth_hz
        low = np.where(too_much, middle, low)
        high = np.where(too_much, high, middle)
    return _rates_at(terms, weight, high)


def _rates_at(terms: PairTerms, weight: Array, log_multiplier: Array) -> Array:
    position = (log_multiplier[..., None] - weight - LOG_MARGINAL_LOW) / _TABLE_STEP
    position = np.clip(position, 0.0, TABLE_SIZE - 1.001)
    index = position.astype(np.intp)
    lower = _RATES[index]
    rate = lower + (position - index) * (_RATES[index + 1] - lower)
    return np.clip(rate, terms.limit, RATE_CAP)


def gains(terms: PairTerms, cooperating: Mask, bandwidth_hz: Array) -> tuple[Array, Mask]:
    """Total gain of each set of cooperating pairs, and whether it fits.

    Returns:
        (...) J: 0 with nobody in CP, -10 for a set that does not fit; and (...) feasible.
    """
    needed = np.where(cooperating, terms.least_hz, 0.0).sum(axis=-1)
    feasible = needed <= bandwidth_hz
    rate = best_rates(terms, cooperating, bandwidth_hz)
    each = np.where(cooperating, gain_at(terms, rate), 0.0)
    return np.where(feasible, each.sum(axis=-1), INFEASIBLE_REWARD_J), feasible
