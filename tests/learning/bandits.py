"""Contextual bandits with known best actions in every space, for tests of heads and loops."""

from dataclasses import dataclass

import numpy as np

from twintier.inmf.episodes import Actions, Memory
from twintier.inmf.spec import ActionSpace, Array, Box, Discrete, InmfSpec, MultiBinary, Observation


def bandit_spec(space: ActionSpace, slots: int = 10) -> InmfSpec:
    return InmfSpec(
        inmf="bandit",
        observation_dim=2,
        actions=space,
        slots=slots,
        slot_s=1.0,
        gamma=0.0,
        gae_lambda=0.0,
    )


@dataclass(frozen=True)
class Bandit:
    """Each component of yes or no earns its number; a choice its score; a number near 2 + 2 x."""

    spec: InmfSpec
    x: Array
    """(episodes, slots, 2) within -1..1."""
    exogenous: bool = True

    @classmethod
    def draw(cls, space: ActionSpace, episodes: int, rng: np.random.Generator) -> "Bandit":
        spec = bandit_spec(space)
        return cls(spec, rng.uniform(-1.0, 1.0, (episodes, spec.slots, 2)))

    @property
    def episodes(self) -> int:
        return len(self.x)

    def first_memory(self) -> Memory:
        return {}

    def observe(self, slot: int, memory: Memory) -> Observation:
        del memory
        return self.x[:, slot].astype(np.float32)

    def observe_all(self) -> Observation:
        return self.x.astype(np.float32)

    def remember(self, slot: int, memory: Memory, actions: Actions) -> Memory:
        del slot, actions
        return memory

    def rewards(self, actions: Actions) -> Array:
        numbers = actions.astype(np.float64)
        match self.spec.actions:
            case MultiBinary():
                return np.asarray((self.x * numbers).sum(axis=-1))
            case Discrete():
                picked = np.take_along_axis(self.scores(actions), actions.astype(int), axis=-1)
                return np.asarray(picked[..., 0])
            case Box():
                return np.asarray(1.0 - np.abs(numbers[..., 0] - 2.0 - self.x[..., 0]))

    def scores(self, actions: Actions) -> Array:
        """Of Discrete 3: the context's numbers, and 0.2 for neither."""
        neither = np.full((*actions.shape[:-1], 1), 0.2)
        return np.concatenate([self.x, neither], axis=-1)

    def best(self) -> Array:
        match self.spec.actions:
            case MultiBinary():
                return np.asarray(np.maximum(self.x, 0.0).sum(axis=-1))
            case Discrete():
                return np.asarray(np.maximum(self.x.max(axis=-1), 0.2))
            case Box():
                return np.ones(self.x.shape[:-1])
