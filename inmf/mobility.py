"""Markov chains of workload and distance, and of pairs that come and go."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twintier.inmf.trajectory import Array, Mask, ShapeError

Levels = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Chain:
    """A Markov chain over levels of a quantity."""

    levels: tuple[float, ...]
    transition: tuple[tuple[float, ...], ...]
    """Row i: probabilities of the next level after level i."""

    def __post_init__(self) -> None:
        """Check that rows are distributions over the levels."""
        matrix = np.asarray(self.transition)
        size = len(self.levels)
        if matrix.shape != (size, size):
            raise ShapeError(f"transition {matrix.shape} must be ({size}, {size})")
        if (matrix < 0).any() or not np.allclose(matrix.sum(axis=1), 1.0, atol=1e-6):
            raise ValueError("each row of a transition matrix must be probabilities that sum to 1")

    def walk(self, first: Levels, slots: int, rng: np.random.Generator) -> Array:
        """Values over slots, (..., slots), from the indices of first levels (...)."""
        size = len(self.levels)
        cumulative = np.cumsum(np.asarray(self.transition), axis=1)[:, :-1]
        steps = (np.arange(size)[:, None] + cumulative).ravel()
        draws = rng.random((slots, *first.shape))
        indices = np.empty((slots, *first.shape), np.intp)
        level = first
        for slot in range(slots):
            indices[slot] = level
            level = np.searchsorted(steps, level + draws[slot]) - (size - 1) * level
        return np.moveaxis(np.asarray(self.levels)[indices], 0, -1)

    def stationary(self) -> Array:
        """Long-run probabilities of the levels."""
        matrix = np.linalg.matrix_power(np.asarray(self.transition), 256)
        return np.asarray(matrix.mean(axis=0))

    def draw_first(self, shape: tuple[int, ...], rng: np.random.Generator) -> Levels:
        """Indices of first levels, from the long-run probabilities."""
        share = self.stationary()
        return rng.choice(len(self.levels), size=shape, p=share / share.sum())


FIVE_STATE: tuple[tuple[float, ...], ...] = (
    (0.35, 0.30, 0.20, 0.10, 0.05),
    (0.25, 0.30, 0.25, 0.15, 0.05),
    (0.10, 0.25, 0.30, 0.25, 0.10),
    (0.05, 0.15, 0.25, 0.30, 0.25),
    (0.05, 0.10, 0.20, 0.30, 0.35),
)
"""Transition rows of the case study, for workload and distance alike."""
OBJECTS = Chain((4.0, 5.0, 6.0, 7.0, 8.0), FIVE_STATE)
DISTANCE = Chain((6.0, 12.0, 18.0, 24.0, 30.0), FIVE_STATE)


@dataclass(frozen=True, slots=True)
class Presence:
    """How CAV pairs appear in a row and leave it, per slot."""

    appear: float = 1.0
    """Probability that an empty row is filled."""
    leave: float = 0.0
    """Probability that a pair is gone in the next slot."""

    @property
    def share(self) -> float:
        """Long-run share of slots with a pair in the row."""
        total = self.appear + self.leave
        return self.appear / total if total > 0 else 1.0

    def walk(self, shape: tuple[int, ...], slots: int, rng: np.random.Generator) -> Mask:
        """Whether a pair is there, (..., slots)."""
        if self.leave == 0.0 and self.appear > 0.0:
            return np.ones((*shape, slots), bool)
        draws = rng.random((slots, *shape))
        seen = np.empty((slots, *shape), bool)
        there = rng.random(shape) < self.share
        for slot in range(slots):
            seen[slot] = there
            there = np.where(there, draws[slot] >= self.leave, draws[slot] < self.appear)
        return np.moveaxis(seen, 0, -1)
