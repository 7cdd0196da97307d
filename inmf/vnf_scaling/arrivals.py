"""The load that an emulated PLVN offers: a level, a wave, and fractional Gaussian noise.

All parameters are shrunk to an expert's until data speak. What an episode does not share with the
next, as its level and where the wave begins, is drawn for each.
"""

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from twintier.inmf.spec import Array

LEAST_LOAD = 0.05
PRIOR_SLOTS = 50.0
"""Slots that the expert value of a parameter weighs (n0)."""
PERIODS_S = (30.0, 150.0)
"""Shortest and longest wave that is looked for."""
TRIED_PERIODS = 25
WINDOW = 150
"""Slots over which a level and a wave are taken as constant; a longer stretch is cut."""
LEAST_SLOTS = 30
"""Fewer say nothing of waves."""
PRIOR_WINDOWS = 5.0
"""The same in windows, for what differs between episodes."""
SPURIOUS = 10.7
"""Square of the amplitude that the best of all tried waves finds in white noise, over the noise's
variance and times the slots of a window."""
HURST_RANGE = (0.5, 0.95)


@dataclass(frozen=True, slots=True)
class LoadModel:
    """Parameters of the load, in instances."""

    mean: float = 4.75
    level_sd: float = 0.8
    """Deviation of an episode's level from the mean."""
    amplitude: float = 1.2
    shortest_s: float = PERIODS_S[0]
    longest_s: float = PERIODS_S[1]
    """The wave of an episode has a period between these."""
    noise_sd: float = 0.75
    hurst: float = 0.7
    """Of the noise: 0.5 is white, towards 1 it remembers long."""

    def draw(self, episodes: int, slots: int, rng: np.random.Generator) -> Array:
        """Loads (episodes, slots), none below `LEAST_LOAD`."""
        level = rng.normal(self.mean, self.level_sd, (episodes, 1))
        period = rng.uniform(self.shortest_s, self.longest_s, (episodes, 1))
        phase = rng.uniform(0.0, 2.0 * np.pi, (episodes, 1))
        wave = self.amplitude * np.sin(2.0 * np.pi * np.arange(slots) / period + phase)
        noise = fractional_noise(np.full(episodes, self.hurst), slots, rng)
        return np.maximum(level + wave + self.noise_sd * noise, LEAST_LOAD)

    def fit(self, load: Array) -> "LoadModel":
        """Tuned to loads (slots,), shrunk to this model."""
        if load.size < LEAST_SLOTS:
            return self
        found = _waves(_windows(load))
        slots = found.rest.shape[1]
        noise_sd = float(found.rest.std() / np.sqrt(1.0 - 3.0 / slots))
        hurst = _hurst(found.rest)
        of_noise = noise_sd**2 * slots ** (2.0 * hurst - 2.0)
        squares = (found.amplitude**2).mean() - SPURIOUS * noise_sd**2 / slots
        return self._shrunk(
            load.size,
            LoadModel(
                mean=float(load.mean()),
                level_sd=float(np.sqrt(max(found.level.var() - of_noise, 0.0))),
                amplitude=float(np.sqrt(max(squares, 0.0))),
                shortest_s=0.9 * float(np.quantile(found.period_s, 0.1)),
                longest_s=1.1 * float(np.quantile(found.period_s, 0.9)),
                noise_sd=noise_sd,
                hurst=hurst,
            ),
        )

    def _shrunk(self, slots: int, found: "LoadModel") -> "LoadModel":
        own = slots / (slots + PRIOR_SLOTS)
        # Levels speak once a window, not once a slot.
        of_levels = slots / WINDOW / (slots / WINDOW + PRIOR_WINDOWS)

        expert, own_values = asdict(self), asdict(found)
        weights = dict.fromkeys(expert, own) | {"level_sd": of_levels}
        return LoadModel(
            **{
                name: weights[name] * own_values[name] + (1.0 - weights[name]) * value
                for name, value in expert.items()
            }
        )


@dataclass(frozen=True, slots=True)
class _Waves:
    """Windows taken apart: the wave that explains most of each, each (windows,)."""

    level: Array
    amplitude: Array
    period_s: Array
    rest: Array
    """(windows, slots)."""


def fractional_noise(hurst: Array, slots: int, rng: np.random.Generator) -> Array:
    """Fractional Gaussian noise of variance 1 by circulant embedding.

    Args:
        hurst: (episodes,) in (0, 1).
        slots: of an episode.
        rng: draws two numbers for each slot.

    Returns:
        (episodes, slots).
    """
    lags = np.arange(slots + 1.0)
    power = 2.0 * np.asarray(hurst)[:, None]
    covariance = 0.5 * ((lags + 1.0) ** power - 2.0 * lags**power + np.abs(lags - 1.0) ** power)
    circle = np.concatenate([covariance, covariance[:, -2:0:-1]], axis=-1)
    spectrum = np.maximum(np.fft.fft(circle, axis=-1).real, 0.0)
    size = circle.shape[-1]
    drawn: npt.NDArray[np.complex128] = rng.standard_normal((*circle.shape, 2)).view(np.complex128)[
        ..., 0
    ]
    made: Array = np.fft.fft(np.sqrt(spectrum / size) * drawn, axis=-1).real[:, :slots]
    return made


def _windows(load: Array) -> Array:
    """The newest whole windows (n, slots); all of it where there is less than one."""
    slots = min(WINDOW, load.size)
    whole = load.size // slots
    return load[load.size - whole * slots :].reshape(whole, slots)


def _waves(windows: Array) -> _Waves:
    tried = np.geomspace(*PERIODS_S, TRIED_PERIODS)
    slot = np.arange(windows.shape[1])
    levels, amplitudes, rests = [], [], []
    for period_s in tried:
        angle = 2.0 * np.pi * slot / period_s
        basis = np.stack([np.ones_like(angle), np.sin(angle), np.cos(angle)], axis=1)
        found = np.linalg.lstsq(basis, windows.T, rcond=None)[0]
        levels.append(found[0])
        amplitudes.append(np.hypot(found[1], found[2]))
        rests.append(windows - (basis @ found).T)
    best = np.argmin([(rest**2).sum(axis=1) for rest in rests], axis=0)
    each = np.arange(len(windows))
    return _Waves(
        np.stack(levels)[best, each],
        np.stack(amplitudes)[best, each],
        tried[best],
        np.stack(rests)[best, each],
    )


def _hurst(rest: Array) -> float:
    """From the correlation of neighbouring slots, which is 2^(2H - 1) - 1."""
    together = float((rest[:, 1:] * rest[:, :-1]).mean() / max(float((rest**2).mean()), 1e-12))
    return float(np.clip(0.5 * (1.0 + np.log2(1.0 + max(together, 0.0))), *HURST_RANGE))
