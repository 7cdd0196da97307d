"""Returns and generalised advantages over the slots of episodes.

An episode of an INMF ends because its slots are used up. The default value after the last slot is
0: the baseline knows the time, so it predicts what is left of the episode.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from twintier.inmf.spec import Array
from twintier.inmf.trajectory import ShapeError

Real = TypeVar("Real", npt.NDArray[np.float64], npt.NDArray[np.floating])


def returns(reward: Array, *, gamma: float) -> Array:
    """Discounted sum of rewards from each slot to the end of its episode.

    Args:
        reward: (..., slots) float64, any unit.
        gamma: discount factor.

    Returns:
        (..., slots), same unit.
    """
    total = np.empty_like(reward)
    running = np.zeros(reward.shape[:-1])
    for slot in range(reward.shape[-1] - 1, -1, -1):
        running = reward[..., slot] + gamma * running
        total[..., slot] = running
    return total


def advantages(reward: Array, value: Array, *, gamma: float, gae_lambda: float) -> Array:
    """Generalised advantage of each slot (Schulman et al., arXiv 1506.02438, eq. 16).

    Args:
        reward: (..., slots) float64, any unit.
        value: (..., slots + 1) float64; the last column is the value after the last slot.
        gamma: discount factor.
        gae_lambda: weight of longer returns.

    Returns:
        (..., slots), same unit.

    Raises:
        ShapeError: if value has not exactly one slot more than reward.
    """
    if value.shape != (*reward.shape[:-1], reward.shape[-1] + 1):
        raise ShapeError(
            f"value {value.shape} must have one slot more than reward {reward.shape}; "
            "append the value after the last slot"
        )
    error = reward + gamma * value[..., 1:] - value[..., :-1]
    return returns(error, gamma=gamma * gae_lambda)


def normalised(advantage: Real) -> Real:
    """Advantages with mean 0 and standard deviation 1 over the last two axes."""
    centred = advantage - advantage.mean(axis=(-2, -1), keepdims=True)
    spread = centred.std(axis=(-2, -1), keepdims=True)
    scaled: Real = centred / (spread + 1e-8)
    return scaled
