"""How well the emulation models of a twin agree with slots that they were not fitted to. Pure.

The error of a model is the mean distance between the next real value and the emulated one, in
deviations of the real values; its floor is the same distance between two emulated values. What they
differ by, in quadrature, is the model's own fault: 0 for a perfect model. An error below the floor
counts too, for such a model scatters more than the reality.
"""

from dataclasses import dataclass
from math import erf, exp, pi, sqrt
from typing import Literal

import numpy as np

from twintier.inmf.mobility import Chain
from twintier.inmf.perception.emulator import EmulatorParameters
from twintier.inmf.trajectory import Array, Mask, Trace

MIXED_BY_COUNT, MIXED_EQUALLY = 0.5, 2.0
"""Excess up to which true and synthetic data count by number, and up to which they count alike."""
LEAST_DEVIATION = 1e-9

Mixing = Literal["by_count", "equally", "true_only"]


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Excess error of each emulation model on held-out slots; 0 is perfect."""

    bandwidth: float
    objects: float
    distance: float
    reward: float

    @property
    def worst(self) -> float:
        """Largest excess: what hybrid data are mixed by."""
        return max(self.bandwidth, self.objects, self.distance, self.reward)

    @property
    def score(self) -> float:
        """One number for people, 1 for a perfect emulator, towards 0 for a useless one."""
        return 1.0 / (1.0 + self.worst)

    @property
    def mixing(self) -> Mixing:
        """How synthetic data may be mixed with true ones."""
        if self.worst <= MIXED_BY_COUNT:
            return "by_count"
        return "equally" if self.worst <= MIXED_EQUALLY else "true_only"


def fidelity_of(
    parameters: EmulatorParameters, held_out: Trace, observed_j: Array, predicted_j: Array
) -> Fidelity:
    """Fidelity of a twin's emulator.

    Args:
        parameters: of the emulator, fitted to other slots.
        held_out: real slots, (episodes, slots) with (..., pairs) for objects and distances.
        observed_j: measured rewards of real slots, any shape, J a slot.
        predicted_j: the calibrated emulator's for the same states and actions, same shape.
    """
    return Fidelity(
        bandwidth=_gaussian_excess(parameters, held_out.bandwidth_hz),
        objects=_chain_excess(parameters.objects, held_out.objects, held_out.present),
        distance=_chain_excess(parameters.distance, held_out.distance_m, held_out.present),
        reward=_reward_excess(observed_j, predicted_j, parameters.reward_noise_j),
    )


def _excess(error: float, floor: float, deviation: float) -> float:
    return sqrt(abs(error**2 - floor**2)) / max(deviation, LEAST_DEVIATION)


def _gaussian_excess(parameters: EmulatorParameters, values: Array) -> float:
    """Expected distance of each value from a draw, against that of two draws, 2 sd / sqrt(pi)."""
    mean, sd = parameters.bandwidth_mean_hz, max(parameters.bandwidth_sd_hz, LEAST_DEVIATION)
    ratios = (values.ravel() - mean) / sd
    distances = [r * erf(r / sqrt(2.0)) + sqrt(2.0 / pi) * exp(-r * r / 2.0) for r in ratios]
    error = sd * float(np.mean(distances)) if distances else 0.0
    return _excess(error, 2.0 * sd / sqrt(pi), float(values.std()))


def _chain_excess(chain: Chain, values: Array, present: Mask) -> float:
    """Expected distance of each next value from a draw, against that of two draws.

    Args:
        chain: the model.
        values: (episodes, slots, pairs).
        present: steps count where a pair is there before and after.
    """
    both = present[:, :-1] & present[:, 1:]
    now, following = values[:, :-1][both], values[:, 1:][both]
    if not now.size:
        return 0.0
    levels, transition = np.asarray(chain.levels), np.asarray(chain.transition)
    index = np.abs(now[:, None] - levels).argmin(axis=1)
    chances = transition[index]
    apart = np.abs(levels[:, None] - levels)
    error = float((chances * np.abs(following[:, None] - levels)).sum(axis=1).mean())
    floor = float(np.einsum("ni,ij,nj->n", chances, apart, chances).mean())
    return _excess(error, floor, float(following.std()))


def _reward_excess(observed_j: Array, predicted_j: Array, noise_j: float) -> float:
    """Mean distance of measured from predicted rewards, against that of the noise alone."""
    error = float(np.abs(observed_j - predicted_j).mean()) if observed_j.size else 0.0
    return _excess(error, noise_j * sqrt(2.0 / pi), float(observed_j.std()))
