"""Fitting the hidden condition to what a PLVN did and measured.

Least squares over candidates (prior draws, known conditions, local search, Gauss-Newton), all
evaluated at once; rewards jump where modes cease to fit, so no step alone would do. What the data
cannot tell apart stays in the particles: a sample of the posterior, of the prior where no slot
speaks. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twintier.inmf.contract import CLIP, Posterior
from twintier.inmf.perception.condition import (
    PRIOR_HIGH,
    PRIOR_LOW,
    Condition,
    draw_conditions,
    stack,
)
from twintier.inmf.perception.emulator import NOMINAL_CONDITION, REWARD_NOISE_J
from twintier.inmf.perception.live import outcome
from twintier.inmf.perception.physics import physics_of
from twintier.inmf.trajectory import Array, Mask, Trace, Trajectories

RELATIVE_ERROR = 0.01
"""Error of the emulator's form, as a share of the reward (assumed)."""
PRIOR_DRAWS = 200
KEPT = 48
"""Best candidates that each round of local search starts from."""
CHILDREN = 4
ROUNDS = ((0.25, 0.3), (0.15, 0.1), (0.08, 0.05), (0.04, 0.02))
"""Step of the local search, as a share of the prior's range, and relative error it tolerates."""
SEARCH_SLOTS = 160
"""Slots that the local search looks at; the steps after it look at all."""
STARTS = 12
"""Best candidates that Gauss-Newton starts from."""
NEWTON_STEPS = 3
DIFFERENCE = 1e-4
SAMPLES = 128
"""Draws around the best candidate in each round of importance sampling."""
SCALES = (0.5, 1.0, 2.0)
LEAST_EFFECTIVE = 16.0
"""Draws that must count, as the inverse sum of squared weights."""
PARTICLES = 48


def calibrate(
    trajectories: Trajectories, known: Sequence[Condition], rng: np.random.Generator
) -> Posterior:
    """Fit the hidden condition to (state, action, reward).

    Args:
        trajectories: one episode of slots, in any order.
        known: conditions met before or fitted earlier; good guesses.
        rng: draws candidates.
    """
    evidence = Evidence.of(trajectories)
    first = stack([NOMINAL_CONDITION, *known, *draw_conditions(PRIOR_DRAWS, rng)])
    if not evidence.slots:
        return _ignorant(first, int(trajectories.reward_j.size))
    guesses = _search(evidence.some(SEARCH_SLOTS, rng), _to_unit(first), rng)
    errors = evidence.errors(guesses)
    best = guesses[np.argsort(errors, kind="stable")[:STARTS]]
    found = np.concatenate([best, _polish(evidence, best)])
    return _posterior(evidence, found, int(trajectories.reward_j.size), rng)


def predict(candidates: Array, trajectories: Trajectories) -> Array:
    """Reward that conditions (k, 5) give to the same states and actions of one episode.

    Returns:
        (k, slots) J.
    """
    rewards, _ = _rewards(trajectories, candidates)
    return rewards


def deviations(reward_j: Array, relative_error: float = RELATIVE_ERROR) -> Array:
    """What of a measured reward noise and the emulator's form explain, one deviation, J."""
    return np.hypot(REWARD_NOISE_J, relative_error * np.abs(reward_j))


def informative(trajectories: Trajectories) -> Mask:
    """Slots of one episode in which a pair cooperates or changes its mode; others say nothing."""
    changed = trajectories.modes_before != trajectories.modes
    speaks = (trajectories.modes | changed) & trajectories.trace.present
    slots: Mask = speaks[0].any(axis=-1)
    return slots


def select(trajectories: Trajectories, slots: Mask | slice) -> Trajectories:
    """Some slots of trajectories."""
    trace = trajectories.trace
    return Trajectories(
        Trace(
            trace.bandwidth_hz[:, slots],
            trace.objects[:, slots],
            trace.distance_m[:, slots],
            trace.present[:, slots],
        ),
        trajectories.modes_before[:, slots],
        trajectories.modes[:, slots],
        trajectories.reward_j[:, slots],
    )


@dataclass(frozen=True, slots=True)
class Evidence:
    """The informative slots of an episode, and how badly candidates explain them."""

    trajectories: Trajectories

    @classmethod
    def of(cls, trajectories: Trajectories) -> "Evidence":
        """The slots of `trajectories` that say something."""
        return cls(select(trajectories, informative(trajectories)))

    @property
    def slots(self) -> int:
        """How many they are."""
        return int(self.trajectories.reward_j.size)

    def some(self, slots: int, rng: np.random.Generator) -> "Evidence":
        """At most so many of the slots, drawn at random."""
        if self.slots <= slots:
            return self
        chosen = np.zeros(self.slots, bool)
        chosen[rng.choice(self.slots, slots, replace=False)] = True
        return Evidence(select(self.trajectories, chosen))

    def residuals(self, unit: Array, relative_error: float = RELATIVE_ERROR) -> tuple[Array, Mask]:
        """Residuals of candidates (n, 5) in deviations, and infeasibility; (n, slots) each."""
        rewards, infeasible = _rewards(self.trajectories, _from_unit(unit))
        observed = self.trajectories.reward_j[0]
        return (observed - rewards) / deviations(observed, relative_error), infeasible

    def errors(self, unit: Array, relative_error: float = RELATIVE_ERROR) -> Array:
        """Sum of clipped squared residuals of candidates (n, 5), (n,): twice nats."""
        residuals, _ = self.residuals(unit, relative_error)
        return _total(residuals)

    def jacobian(self, unit: Array, residuals: Array, infeasible: Mask) -> Array:
        """Derivatives of the residuals (n, slots, 5), 0 where a slot jumps or is clipped."""
        # Inwards: a step out of the unit cube would leave the prior.
        step = np.where(unit < 0.5, DIFFERENCE, -DIFFERENCE)
        size = unit.shape[-1]
        moved = unit[:, None] + step[:, None] * np.eye(size)
        shifted, other = self.residuals(moved.reshape(-1, size))
        shape = (len(unit), size, self.slots)
        slope = (shifted.reshape(shape) - residuals[:, None]) / step[..., None]
        # Where a pair becomes infeasible the reward jumps, and a difference quotient means nothing.
        smooth = (other.reshape(shape) == infeasible[:, None]) & (np.abs(residuals) < CLIP)[:, None]
        return np.moveaxis(np.where(smooth, slope, 0.0), 1, 2)


def _search(evidence: Evidence, first: Array, rng: np.random.Generator) -> Array:
    """Best of a local search that starts tolerant, so that large rewards do not blind it.

    Returns:
        `KEPT` candidates, best first, then those of `first` that are not drawn.
    """
    found = first
    for step, tolerated in ROUNDS:
        errors = evidence.errors(found, tolerated)
        best = found[np.argsort(errors, kind="stable")[:KEPT]]
        children = np.repeat(best, CHILDREN, axis=0)
        children = children + rng.normal(0.0, step, children.shape)
        found = np.concatenate([best, np.clip(children, 0.0, 1.0)])
    # The last ranking is the strict one, and good guesses stay: the search may have left them.
    best = found[np.argsort(evidence.errors(found), kind="stable")[:KEPT]]
    return np.concatenate([best, first[:-PRIOR_DRAWS]])


def _polish(evidence: Evidence, unit: Array) -> Array:
    """Damped Gauss-Newton steps from each candidate (n, 5); never worse than where it began."""
    damping = np.full(len(unit), 1e-2)
    residuals, infeasible = evidence.residuals(unit)
    for _ in range(NEWTON_STEPS):
        jacobian = evidence.jacobian(unit, residuals, infeasible)
        curvature = np.swapaxes(jacobian, 1, 2) @ jacobian
        diagonal = np.einsum("nii->ni", curvature) * damping[:, None] + 1.0
        gradient = np.einsum("nsi,ns->ni", jacobian, np.clip(residuals, -CLIP, CLIP))
        eye = np.eye(unit.shape[-1])
        step = np.linalg.solve(curvature + diagonal[:, None] * eye, -gradient[..., None])[..., 0]
        trial = np.clip(unit + step, 0.0, 1.0)
        tried, jumped = evidence.residuals(trial)
        better = _total(tried) < _total(residuals)
        # A failed step asks for a shorter one, and each candidate goes at its own pace.
        damping = np.where(better, damping * 0.1, damping * 30.0)
        unit = np.where(better[:, None], trial, unit)
        residuals = np.where(better[:, None], tried, residuals)
        infeasible = np.where(better[:, None], jumped, infeasible)
    return unit


def _posterior(
    evidence: Evidence, found: Array, n_slots: int, rng: np.random.Generator
) -> Posterior:
    """Importance sampling around the best candidate, twice; the second round knows more."""
    errors = evidence.errors(found)
    best = found[[int(np.argmin(errors))]]
    residuals, infeasible = evidence.residuals(best)
    jacobian = evidence.jacobian(best, residuals, infeasible)[0]
    # 12 is the inverse variance of a uniform on the unit cube, the prior of what no slot tells.
    covariance = np.linalg.inv(jacobian.T @ jacobian + 12.0 * np.eye(best.shape[-1]))
    centre = best[0]
    for _ in range(2):
        drawn, log_density = _propose(centre, covariance, rng)
        drawn_errors = evidence.errors(drawn)
        weights = _tempered(-0.5 * drawn_errors - log_density)
        found, errors = np.concatenate([found, drawn]), np.concatenate([errors, drawn_errors])
        centre = weights @ drawn
        apart = drawn - centre
        covariance = (weights[:, None] * apart).T @ apart + 1e-8 * np.eye(len(centre))
    order = np.argsort(errors, kind="stable")
    # Systematic resampling: one random number, evenly spaced, has the least noise.
    positions = (rng.random() + np.arange(PARTICLES - 1)) / (PARTICLES - 1)
    chosen = np.searchsorted(np.cumsum(weights), positions).clip(0, len(drawn) - 1)
    winner = found[order[0]]
    least, _ = evidence.residuals(winner[None])
    scale = deviations(evidence.trajectories.reward_j[0])
    return Posterior(
        best=_from_unit(winner),
        particles=_from_unit(np.concatenate([winner[None], drawn[chosen]])),
        weights=np.full(PARTICLES, 1.0 / PARTICLES),
        n_slots=n_slots,
        residual_sd=float(np.sqrt(np.mean((least[0] * scale) ** 2))),
    )


def _propose(centre: Array, covariance: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws from Gaussians of several widths, folded into the unit cube, and log densities."""
    size = centre.size
    factor = np.linalg.cholesky(covariance)
    scales = np.resize(SCALES, SAMPLES)
    normal = rng.standard_normal((SAMPLES, size))
    drawn = centre + scales[:, None] * (normal @ factor.T)
    squares = (scales[:, None] * normal) ** 2
    widths = np.asarray(SCALES)
    each = -0.5 * squares.sum(axis=-1)[:, None] / widths**2 - size * np.log(widths)
    # Reflected at the faces and not clipped, or draws would pile up there.
    folded = 1.0 - np.abs(1.0 - np.abs(drawn) % 2.0)
    return folded, np.logaddexp.reduce(each, axis=-1)


def _tempered(log_weights: Array) -> Array:
    """Weights that sum to 1, flattened until enough draws count: rather too wide than blind."""
    power = 1.0
    while True:
        weights = np.exp(power * (log_weights - log_weights.max()))
        weights /= weights.sum()
        if 1.0 / (weights**2).sum() >= LEAST_EFFECTIVE:
            return np.asarray(weights)
        power *= 0.7


def _ignorant(first: Array, n_slots: int) -> Posterior:
    """The prior, with the first guess as the best: no slot has spoken."""
    prior = first[-PARTICLES:]
    weights = np.full(len(prior), 1.0 / len(prior))
    return Posterior(first[0], prior, weights, n_slots, 0.0)


def _total(residuals: Array) -> Array:
    total: Array = (np.clip(residuals, -CLIP, CLIP) ** 2).sum(axis=-1)
    return total


def _to_unit(values: Array) -> Array:
    """Conditions as points of the unit cube, the feature factor by its logarithm."""
    low, high = PRIOR_LOW.as_array(), PRIOR_HIGH.as_array()
    unit = (values - low) / (high - low)
    unit[..., 0] = np.log(values[..., 0] / low[0]) / np.log(high[0] / low[0])
    return np.clip(unit, 0.0, 1.0)


def _from_unit(unit: Array) -> Array:
    low, high = PRIOR_LOW.as_array(), PRIOR_HIGH.as_array()
    values: Array = low + unit * (high - low)
    values[..., 0] = low[0] * (high[0] / low[0]) ** unit[..., 0]
    return values


def _rewards(trajectories: Trajectories, candidates: Array) -> tuple[Array, Mask]:
    """Reward and infeasibility of every slot of one episode by candidate, (n, slots)."""
    trace = trajectories.trace
    seen = outcome(
        physics_of(candidates[:, None]),
        trace.bandwidth_hz[0],
        trace.objects[0],
        trace.distance_m[0],
        trace.present[0],
        modes_before=trajectories.modes_before[0],
        modes=np.broadcast_to(trajectories.modes[0], (len(candidates), *trace.present.shape[1:])),
    )
    return seen.reward_j, seen.infeasible
