"""The linear value function: ridge regression of returns on simple features of state and time.

Fitted anew on each batch, so it has no state and is right for whatever policy collected the batch.
"""

import numpy as np

from twintier.inmf.spec import Array, Observation

RIDGE = 1e-5
"""Assumed: keeps the normal equations solvable when a feature is constant."""


def features(observations: Observation) -> Array:
    """Features (obs, obs^2, t, t^2, t^3, 1) of each slot (Duan et al., arXiv 1604.06778).

    Args:
        observations: (..., episodes, slots, dim) float32.

    Returns:
        (..., episodes, slots, 2 dim + 4) float64; t runs from 0 to 1 over the episode.
    """
    *batch, slots, dim = observations.shape
    result = np.empty((*batch, slots, 2 * dim + 4))
    result[..., :dim] = observations
    np.square(result[..., :dim], out=result[..., dim : 2 * dim])
    time = np.arange(slots) / max(slots - 1, 1)
    result[..., 2 * dim :] = np.stack([time, time**2, time**3, np.ones(slots)], axis=-1)
    return result


def predict(observations: Observation, target: Array) -> Array:
    """Fit `target` on the features and return the fitted value of each slot.

    Args:
        observations: (..., episodes, slots, dim) float32; leading axes are fitted apart.
        target: (..., episodes, slots) float64, any unit.

    Returns:
        (..., episodes, slots + 1), same unit; the value after the last slot is 0.
    """
    full = features(observations)
    rows = full.reshape(*full.shape[:-3], -1, full.shape[-1])
    goal = target.reshape(*target.shape[:-2], -1, 1)
    transposed = np.swapaxes(rows, -1, -2)
    gram = transposed @ rows
    gram += RIDGE * rows.shape[-2] * np.eye(rows.shape[-1])
    fitted = rows @ np.linalg.solve(gram, transposed @ goal)
    value = np.zeros((*target.shape[:-1], target.shape[-1] + 1))
    value[..., :-1] = fitted.reshape(target.shape)
    return value
