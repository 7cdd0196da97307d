"""Hidden parameters from what a PLVN saw, ordered and earned.

Given a lag, the reward is linear in the weight of the SLA and the cost of an order, so the
posterior of both is a Gaussian in closed form; lags are weighed by their evidence. What no slot
tells stays as wide as the prior. A freak must not decide alone: residuals weigh less the larger
they are.
"""

from dataclasses import dataclass

import numpy as np

from twintier.inmf.contract import ACTION, CLIP, REWARD, Calibration, Columns, Posterior
from twintier.inmf.spec import Array, Mask
from twintier.inmf.vnf_scaling.physics import (
    HIDDEN_HIGH,
    HIDDEN_LOW,
    LAG,
    LAGS,
    backlog_after,
    changes,
    delay_of,
    harm,
    order,
    running,
    service,
)

REWARD_NOISE = 0.05
"""Deviation of a measured reward from the true one, per slot (assumed)."""
RELATIVE_ERROR = 0.02
"""Error of the emulator's form, as a share of the reward (assumed)."""
TOLERATED = 3.0
"""Residual, in deviations, from which a slot counts less."""
ROUNDS = 3
PARTICLES = 48
"""In equal parts of every lag."""


@dataclass(frozen=True, slots=True)
class Slots:
    """Columns as the reward depends on them, each (slots,) or (lags, slots)."""

    reward: Array
    changed: Mask
    capacity: Array
    """Instances that run, by lag."""
    harm: Array
    """Loss of an SLA of weight 1, by lag."""

    @classmethod
    def of(cls, true: Columns) -> "Slots":
        """Both under every lag, from the state of each slot."""
        ordered = np.asarray(true["ordered"], float)
        log = order(ordered, np.asarray(true[ACTION], np.intp)[:, 0])
        capacity = np.stack([running(log, np.full(len(log), lag)) for lag in LAGS])
        after = backlog_after(true["backlog_s"], true["load_met"], capacity)
        return cls(
            np.asarray(true[REWARD], float),
            changes(ordered, log),
            capacity,
            harm(delay_of(after, capacity)),
        )


@dataclass(frozen=True, slots=True)
class _Fit:
    """Posterior of weight and cost under one lag."""

    centre: Array
    covariance: Array
    log_evidence: float


class VnfCalibration(Calibration):
    """Posterior over (weight of the SLA, cost of an order, lag)."""

    def prior(self, count: int, rng: np.random.Generator) -> Array:
        """Uniform, (count, 3)."""
        drawn = rng.uniform(HIDDEN_LOW, HIDDEN_HIGH, (count, 3))
        drawn[:, LAG] = rng.choice(LAGS, count)
        return drawn

    def fit(self, true: Columns, known: Array, rng: np.random.Generator) -> Posterior:
        """Posterior of slots in any order; earlier fits are tried as the best one."""
        slots = Slots.of(true)
        weights = self.deviation(slots.reward) ** -2.0
        fits = [_fit_lag(slots, index, weights) for index in range(len(LAGS))]
        each = PARTICLES // len(LAGS)
        drawn = np.concatenate(
            [_draw(fit, lag, each, rng) for fit, lag in zip(fits, LAGS, strict=True)]
        )
        evidence = np.array([fit.log_evidence for fit in fits])
        share = np.exp(evidence - evidence.max())
        share /= share.sum()
        centres = np.array([[*fit.centre, lag] for fit, lag in zip(fits, LAGS, strict=True)])
        guesses = np.concatenate([centres, np.asarray(known, float).reshape(-1, 3)])
        best = self._best(true, np.clip(guesses, HIDDEN_LOW, HIDDEN_HIGH))
        residual = slots.reward - self.predict(true, best[None])[0]
        return Posterior(
            best=best,
            particles=drawn,
            weights=np.repeat(share / each, each),
            n_slots=slots.reward.size,
            residual_sd=float(np.sqrt(np.mean(residual**2))) if residual.size else 0.0,
        )

    def predict(self, true: Columns, hidden: Array) -> Array:
        """Reward of the same states and actions under (k, 3), (k, slots)."""
        slots = Slots.of(true)
        weight, cost, lag = np.asarray(hidden, float).T[:, :, None]
        index = np.searchsorted(LAGS, lag[:, 0])
        lost = weight * slots.harm[index] + cost * slots.changed
        return np.asarray(service(slots.capacity[index]) - lost)

    def deviation(self, reward: Array) -> Array:
        """Noise and error of form, one deviation."""
        return np.hypot(REWARD_NOISE, RELATIVE_ERROR * np.abs(reward))

    def informative(self, true: Columns) -> Mask:
        """Slots with a delay, an order, or a log in which orders still differ."""
        slots = Slots.of(true)
        differ = (slots.capacity != slots.capacity[0]).any(axis=0)
        return np.asarray((slots.harm > 0).any(axis=0) | slots.changed | differ)

    def _best(self, true: Columns, guesses: Array) -> Array:
        observed = np.asarray(true[REWARD], float)
        residuals = (observed - self.predict(true, guesses)) / self.deviation(observed)
        errors = (np.clip(residuals, -CLIP, CLIP) ** 2).sum(axis=1)
        best: Array = guesses[int(np.argmin(errors))]
        return best


def _fit_lag(slots: Slots, index: int, weights: Array) -> _Fit:
    """Gaussian posterior under one lag, by least squares that are weighed anew."""
    design = -np.stack([slots.harm[index], slots.changed], axis=1)
    target = slots.reward - service(slots.capacity[index])
    low, high = HIDDEN_LOW[:LAG], HIDDEN_HIGH[:LAG]
    middle, precision = (low + high) / 2.0, np.diag(12.0 / (high - low) ** 2)
    trust = np.ones_like(target)
    for _ in range(ROUNDS):
        scaled = design * (weights * trust)[:, None]
        covariance = np.linalg.inv(scaled.T @ design + precision)
        centre = covariance @ (scaled.T @ target + precision @ middle)
        inside = np.clip(centre, low, high)
        residual = (target - design @ inside) * np.sqrt(weights)
        trust = np.minimum(1.0, TOLERATED / np.maximum(np.abs(residual), TOLERATED))
    # Huber's loss, so that the evidence forgives what the weights forgave.
    size = np.abs(residual)
    loss = np.where(size < TOLERATED, 0.5 * size**2, TOLERATED * (size - 0.5 * TOLERATED)).sum()
    return _Fit(inside, covariance, float(0.5 * np.linalg.slogdet(covariance)[1] - loss))


def _draw(fit: _Fit, lag: int, count: int, rng: np.random.Generator) -> Array:
    """(count, 3) from the Gaussian, folded into the prior's range."""
    drawn = rng.multivariate_normal(fit.centre, fit.covariance, count)
    low, high = HIDDEN_LOW[:LAG], HIDDEN_HIGH[:LAG]
    unit = (drawn - low) / (high - low)
    folded = low + (high - low) * (1.0 - np.abs(1.0 - np.abs(unit) % 2.0))
    return np.concatenate([folded, np.full((count, 1), float(lag))], axis=1)
