"""Tuning the exogenous emulation models: bandwidth, workload, distance, presence.

Pure. Each parameter is shrunk to the expert value that stands until data speak.
"""

from dataclasses import replace

import numpy as np

from twintier.inmf.mobility import Chain, Presence
from twintier.inmf.perception.emulator import EmulatorParameters
from twintier.inmf.trajectory import Array, Mask, Trace

LEVELS = 8
PRIOR_SLOTS = 50.0
"""Slots that the expert value of an exogenous parameter weighs (n0)."""


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


def _fit_chain(values: Array, present: Mask, prior: Chain) -> Chain:
    """Levels and transitions from (episodes, slots, pairs) of present rows."""
    seen = values[present]
    if seen.size < LEVELS:
        return prior
    levels = _levels_of(seen, prior)
    size = len(levels)
    index = np.abs(values[..., None] - levels).argmin(axis=-1)
    both = present[:, :-1] & present[:, 1:]
    counts = np.zeros((size, size))
    np.add.at(counts, (index[:, :-1][both], index[:, 1:][both]), 1.0)
    if tuple(levels) == prior.levels:
        smoothed = counts + PRIOR_SLOTS / size * np.asarray(prior.transition)
    else:  # a Dirichlet prior of one observation, spread as levels are
        smoothed = counts + np.bincount(index[present], minlength=size) / seen.size
    transition = smoothed / smoothed.sum(axis=1, keepdims=True)
    rows = tuple(tuple(float(p) for p in row) for row in transition)
    return Chain(tuple(float(level) for level in levels), rows)


def _levels_of(seen: Array, prior: Chain) -> Array:
    """The expert's levels if only such are seen, else those seen, else means of quantiles."""
    exact = np.unique(seen)
    if np.isin(exact, prior.levels).all():
        return np.asarray(prior.levels)
    if exact.size <= LEVELS:
        return exact
    parts = np.array_split(np.sort(seen), LEVELS)
    return np.unique([float(part.mean()) for part in parts])


def _fit_presence(present: Mask, prior: Presence) -> Presence:
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
