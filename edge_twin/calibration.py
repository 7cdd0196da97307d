"""Tuning the emulation models with uploaded data: exogenous models and the hidden condition.

The hidden condition is found by least squares over candidates (prior draws, known conditions, local
search), all evaluated at once. What the data cannot tell apart stays in the particles: plausible
conditions weighed by likelihood, with the spread of the prior where no slot speaks. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from inmf.condition import PRIOR_HIGH, PRIOR_LOW, Condition, draw_conditions, stack
from inmf.emulator import REWARD_NOISE_J, EmulatorParameters
from inmf.live import LiveEpisodes
from inmf.mobility import Chain, Presence
from inmf.trajectory import Array, Trace, Trajectories

CLIP_J = 16.0
"""Residual beyond which a slot counts no more: one wrong infeasibility must not decide alone."""
PRIOR_DRAWS = 200
KEPT = 24
"""Best candidates that each round of local search starts from."""
CHILDREN = 8
ROUNDS = 5
PARTICLES = 32
STEP = 0.25
"""First step of the local search, as a share of the prior's range; halved each round."""
LEVELS = 8
PRIOR_SLOTS = 50.0
"""Slots that the expert value of an exogenous parameter weighs (n0)."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is known of the hidden condition."""

    condition: Condition
    """The best one."""
    particles: Array
    """(k, 5) plausible conditions."""
    weights: Array
    """(k,) likelihoods of the particles, summing to 1."""
    n_slots: int
    """Slots that it rests on."""
    residual_sd_j: float
    """Root mean square of observed less predicted reward under the best condition."""

    def draw(self, count: int, rng: np.random.Generator) -> list[Condition]:
        """Conditions as uncertain as the calibration is."""
        chosen = rng.choice(len(self.weights), size=count, p=self.weights)
        return [Condition.from_array(self.particles[index]) for index in chosen]


def calibrate(
    trajectories: Trajectories, known: Sequence[Condition], rng: np.random.Generator
) -> Calibration:
    """Fit the hidden condition to (state, action, reward).

    Args:
        trajectories: one episode of slots, in any order.
        known: conditions met before or fitted earlier; good guesses.
        rng: draws candidates.
    """
    informative = _informative(trajectories)
    candidates = stack([*known, *draw_conditions(PRIOR_DRAWS, rng)])
    errors = _squared_errors(informative, candidates)
    low, high = _bounds()
    step = STEP
    for _ in range(ROUNDS):
        best = candidates[np.argsort(errors, kind="stable")[:KEPT]]
        moved = np.repeat(best, CHILDREN, axis=0)
        moved = moved + rng.normal(0.0, step, moved.shape) * (high - low)
        children = np.clip(moved, low, high)
        candidates = np.concatenate([candidates, children])
        errors = np.concatenate([errors, _squared_errors(informative, children)])
        step *= 0.5
    return _posterior(candidates, errors, int(trajectories.reward_j.size))


def predict(calibration: Calibration, trajectories: Trajectories) -> tuple[Array, Array]:
    """Reward that the calibrated emulator gives to the same states and actions.

    Returns:
        Mean and spread over the particles, (episodes, slots) J each.
    """
    rewards = _rewards(trajectories, calibration.particles)
    weights = calibration.weights[:, None, None]
    mean = (weights * rewards).sum(axis=0)
    variance = (weights * (rewards - mean) ** 2).sum(axis=0)
    return mean, np.sqrt(variance)


def squared_error(trajectories: Trajectories, condition: Condition) -> float:
    """Sum over slots of the squared residual under a condition, clipped, J^2."""
    return float(_squared_errors(trajectories, stack([condition]))[0])


def fidelity(calibration: Calibration, held_out: Trajectories) -> float:
    """Share of the variance of held-out rewards that the emulator explains, at most 1."""
    mean, _ = predict(calibration, held_out)
    variance = float(np.var(held_out.reward_j))
    noise = REWARD_NOISE_J**2
    unexplained = float(np.mean((held_out.reward_j - mean) ** 2)) - noise
    return 1.0 - max(unexplained, 0.0) / max(variance - noise, noise)


def fit_exogenous(trace: Trace, prior: EmulatorParameters) -> EmulatorParameters:
    """Gaussian bandwidth, Markov workload and distance, presence; shrunk to the expert values.

    Rows without a pair are left out of workload and distance.
    """
    slots = trace.bandwidth_hz.size
    own = slots / (slots + PRIOR_SLOTS)
    mean = own * float(trace.bandwidth_hz.mean()) + (1 - own) * prior.bandwidth_mean_hz
    sd = own * float(trace.bandwidth_hz.std()) + (1 - own) * prior.bandwidth_sd_hz
    return replace(
        prior,
        bandwidth_mean_hz=mean,
        bandwidth_sd_hz=sd,
        objects=_fit_chain(trace.objects, trace.present, prior.objects),
        distance=_fit_chain(trace.distance_m, trace.present, prior.distance),
        presence=tuple(
            _fit_presence(trace.present[..., pair], prior.presence[pair])
            for pair in range(trace.pairs)
        ),
    )


def _posterior(candidates: Array, errors: Array, n_slots: int) -> Calibration:
    order = np.argsort(errors, kind="stable")
    log_likelihood = -0.5 * (errors - errors[order[0]]) / REWARD_NOISE_J**2
    plausible = order[log_likelihood[order] > -8.0]
    spread = np.linspace(0, len(plausible) - 1, min(PARTICLES, len(plausible))).astype(int)
    chosen = plausible[spread]
    weights = np.exp(log_likelihood[chosen])
    return Calibration(
        condition=Condition.from_array(candidates[order[0]]),
        particles=candidates[chosen],
        weights=weights / weights.sum(),
        n_slots=n_slots,
        residual_sd_j=float(np.sqrt(errors[order[0]] / max(n_slots, 1))),
    )


def _bounds() -> tuple[Array, Array]:
    return PRIOR_LOW.as_array(), PRIOR_HIGH.as_array()


def _informative(trajectories: Trajectories) -> Trajectories:
    """The slots in which some pair cooperates or changes its mode; others say nothing."""
    speaks = (trajectories.modes | (trajectories.modes_before != trajectories.modes)).any(axis=-1)
    index = np.flatnonzero(speaks[0])
    trace = trajectories.trace
    return Trajectories(
        Trace(
            trace.bandwidth_hz[:, index],
            trace.objects[:, index],
            trace.distance_m[:, index],
            trace.present[:, index],
        ),
        trajectories.modes_before[:, index],
        trajectories.modes[:, index],
        trajectories.reward_j[:, index],
    )


def _squared_errors(trajectories: Trajectories, candidates: Array) -> Array:
    """Clipped squared error of each candidate (n, 5), (n,) J^2."""
    residual = trajectories.reward_j - _rewards(trajectories, candidates)
    errors: Array = (np.clip(residual, -CLIP_J, CLIP_J) ** 2).sum(axis=(1, 2))
    return errors


def _rewards(trajectories: Trajectories, candidates: Array) -> Array:
    """Reward of every slot under each candidate, (n, episodes, slots)."""
    trace = trajectories.trace
    conditions = [Condition.from_array(row) for row in candidates]
    if trace.episodes != 1:
        each = [LiveEpisodes(trace, c) for c in conditions]
        return np.stack(
            [batch.rewards(trajectories.modes_before, trajectories.modes) for batch in each]
        )

    def many(array: Array) -> Array:
        return np.broadcast_to(array, (len(conditions), *array.shape[1:]))

    wide = Trace(
        many(trace.bandwidth_hz),
        many(trace.objects),
        many(trace.distance_m),
        np.broadcast_to(trace.present, (len(conditions), *trace.present.shape[1:])),
    )
    before = np.broadcast_to(trajectories.modes_before, wide.present.shape)
    modes = np.broadcast_to(trajectories.modes, wide.present.shape)
    return LiveEpisodes(wide, conditions).rewards(before, modes)[:, None]


def _fit_chain(values: Array, present: np.ndarray, prior: Chain) -> Chain:
    """Levels and transitions from (episodes, slots, pairs) of present rows."""
    seen = values[present]
    if seen.size < LEVELS:
        return prior
    exact = np.unique(seen)
    if exact.size <= LEVELS:
        levels, index = exact, np.searchsorted(exact, values)
        index = np.minimum(index, exact.size - 1)
    else:
        edges = np.unique(np.quantile(seen, np.linspace(0, 1, LEVELS + 1)[1:-1]))
        index = np.searchsorted(edges, values, side="right")
        means = [
            seen[np.searchsorted(edges, seen, side="right") == k] for k in range(len(edges) + 1)
        ]
        levels = np.array([part.mean() if part.size else np.nan for part in means])
        levels = np.where(np.isfinite(levels), levels, seen.mean())
    both = present[:, :-1] & present[:, 1:]
    size = len(levels)
    counts = np.zeros((size, size))
    np.add.at(counts, (index[:, :-1][both], index[:, 1:][both]), 1.0)
    share = np.bincount(index[present], minlength=size) / seen.size
    smoothed = counts + share  # a Dirichlet prior of one observation, spread as levels are
    transition = smoothed / smoothed.sum(axis=1, keepdims=True)
    rows = tuple(tuple(float(p) for p in row) for row in transition)
    return Chain(tuple(float(level) for level in levels), rows)


def _fit_presence(present: np.ndarray, prior: Presence) -> Presence:
    """Appearance and departure of one row, (episodes, slots)."""
    if present.all():
        return Presence(1.0, 0.0)
    before, after = present[:, :-1], present[:, 1:]
    appeared = float((~before & after).sum())
    empty = float((~before).sum())
    left = float((before & ~after).sum())
    filled = float(before.sum())
    del prior  # an expert knows nothing of how pairs come and go
    return Presence((appeared + 0.5) / (empty + 1.0), (left + 0.5) / (filled + 1.0))
