"""Small worlds with known answers, for the tests of learning."""

from dataclasses import dataclass

import numpy as np

from twintier.inmf.episodes import Actions, Memory
from twintier.inmf.spec import Array, InmfSpec, MultiBinary, Observation


def toy_spec(pairs: int = 2, slots: int = 12, *, gamma: float = 0.9) -> InmfSpec:
    return InmfSpec(
        inmf="toy",
        observation_dim=2 * pairs,
        actions=MultiBinary(pairs),
        slots=slots,
        slot_s=1.0,
        gamma=gamma,
        gae_lambda=0.5,
    )


@dataclass(frozen=True)
class ToyEpisodes:
    """A pair earns `x - limit` while its mode is True, less a cost for each change."""

    spec: InmfSpec
    x: Array
    limit: float = 0.0
    switching_cost: float = 0.0
    exogenous: bool = False

    @property
    def episodes(self) -> int:
        return len(self.x)

    def first_memory(self) -> Memory:
        return {"before": np.zeros((self.episodes, self.spec.action_dim), bool)}

    def observe(self, slot: int, memory: Memory) -> Observation:
        return self._observation(self.x[:, slot], memory["before"])

    def observe_all(self) -> Observation:
        return self._observation(self.x, np.zeros_like(self.x))

    def remember(self, slot: int, memory: Memory, actions: Actions) -> Memory:
        del slot, memory
        return {"before": actions}

    def rewards(self, actions: Actions) -> Array:
        modes = actions.astype(bool)
        before = np.zeros_like(modes)
        before[:, 1:] = modes[:, :-1]
        gain = ((self.x - self.limit) * modes).sum(axis=-1)
        cost: Array = self.switching_cost * (modes != before).sum(axis=-1)
        total: Array = gain - cost
        return total

    def _observation(self, x: Array, before: np.ndarray) -> Observation:
        seen = np.zeros_like(before) if self.exogenous else before
        return np.concatenate([x, seen], axis=-1).astype(np.float32)


def toy_episodes(
    episodes: int,
    rng: np.random.Generator,
    *,
    spec: InmfSpec | None = None,
    limit: float = 0.0,
    switching_cost: float = 0.0,
    exogenous: bool = False,
) -> ToyEpisodes:
    spec = spec or toy_spec()
    x = rng.uniform(-1.0, 1.0, (episodes, spec.slots, spec.action_dim))
    return ToyEpisodes(spec, x, limit, switching_cost, exogenous)
