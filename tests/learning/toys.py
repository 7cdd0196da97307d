"""Small worlds with known answers, for the tests of learning."""

from dataclasses import dataclass

import numpy as np

from twintier.inmf.spec import InmfSpec, Observation
from twintier.inmf.trajectory import Array, Mask


def toy_spec(pairs: int = 2, slots: int = 12, *, gamma: float = 0.9) -> InmfSpec:
    return InmfSpec(
        inmf="toy",
        observation_dim=2 * pairs,
        action_dim=pairs,
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

    def observe(self, slot: int, modes_before: Mask) -> Observation:
        return self._observation(self.x[:, slot], modes_before)

    def observe_all(self, modes_before: Mask) -> Observation:
        return self._observation(self.x, modes_before)

    def rewards(self, modes_before: Mask, modes: Mask) -> Array:
        gain = ((self.x - self.limit) * modes).sum(axis=-1)
        cost: Array = self.switching_cost * (modes != modes_before).sum(axis=-1)
        total: Array = gain - cost
        return total

    def _observation(self, x: Array, modes_before: Mask) -> Observation:
        seen = np.zeros_like(modes_before) if self.exogenous else modes_before
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
