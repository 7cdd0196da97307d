"""One trunk for several INMFs: the layers between the first and the last are shared.

Each INMF keeps its own input adapter (first layer) and head (last layer and log_std), because
observations and actions differ; the trunk in between is one vector, stored once. A model of an
INMF is still the flat vector of `inmf.actor`: `join` puts it together, `split` takes it apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from twintier.inmf.actor import PolicySpec
from twintier.inmf.spec import Mlp
from twintier.learning.aggregate import Adam, average_gradients
from twintier.learning.errors import NumericsError, SettingsError
from twintier.learning.policy import Vector

TOLERANCE = 0.02
"""Share of post-adaptation reward that an INMF may lose by sharing (assumed, R14)."""


def trunk_of(spec: PolicySpec) -> slice:
    """Where the shared layers lie in the flat vector.

    Raises:
        SettingsError: if there are fewer than two hidden layers, or the network is another one.
    """
    hidden = _hidden(spec)
    if len(hidden) < 2:
        raise SettingsError(f"hidden {hidden} leaves no trunk; use two layers or more")
    start = (spec.observation_dim + 1) * hidden[0]
    shared = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(hidden))
    return slice(start, start + shared)


def _hidden(spec: PolicySpec) -> tuple[int, ...]:
    if not isinstance(spec.network, Mlp):
        raise SettingsError(f"{spec.network.path} shares no trunk; only built-in networks do")
    return spec.network.hidden


@dataclass(frozen=True, slots=True)
class SharedModels:
    """The meta models of several INMFs around one trunk."""

    specs: Mapping[str, PolicySpec]
    """By INMF; all have the same hidden layers."""
    trunk: Vector
    """(m,) float32, of all."""
    own: Mapping[str, Vector]
    """By INMF: adapter, then head and log_std, float32."""

    @property
    def parameters(self) -> int:
        """Numbers to store for all INMFs together."""
        return self.trunk.size + sum(part.size for part in self.own.values())

    def join(self, inmf: str) -> Vector:
        """The flat vector of one INMF, for `inmf.actor`."""
        at = trunk_of(self.specs[inmf])
        own = self.own[inmf]
        return np.concatenate([own[: at.start], self.trunk, own[at.start :]])


def share(specs: Mapping[str, PolicySpec], models: Mapping[str, Vector]) -> SharedModels:
    """Start sharing: the trunk is the mean of the models' trunks.

    Raises:
        SettingsError: if the hidden layers differ.
    """
    if len({_hidden(spec) for spec in specs.values()}) != 1:
        raise SettingsError("INMFs that share a trunk need the same hidden layers")
    names = sorted(specs)
    trunk = np.mean([models[name][trunk_of(specs[name])] for name in names], axis=0)
    own = {name: _without_trunk(specs[name], models[name]) for name in names}
    return SharedModels(dict(specs), trunk.astype(np.float32), own)


def _without_trunk(spec: PolicySpec, flat: Vector) -> Vector:
    at = trunk_of(spec)
    return np.concatenate([flat[: at.start], flat[at.stop :]])


def split_gradients(
    specs: Mapping[str, PolicySpec], rows: Mapping[str, Mapping[str, Vector]]
) -> tuple[Vector, dict[str, Vector]]:
    """Gradient of the trunk and of each INMF's own part.

    The trunk's is the mean of the INMFs' means, so an INMF with many PLVNs does not outweigh one
    with few; adapters and heads get only their own INMF's.

    Args:
        specs: by INMF.
        rows: by INMF, then by PLVN id: gradients of the whole flat vector, (n,) float32.
    """
    means = {inmf: average_gradients(rows[inmf])[0] for inmf in sorted(rows)}
    trunks = [mean[trunk_of(specs[inmf])] for inmf, mean in means.items()]
    own = {inmf: _without_trunk(specs[inmf], mean) for inmf, mean in means.items()}
    return np.mean(trunks, axis=0).astype(np.float32), own


class SharedOptimizer:
    """Adam on the trunk and on each INMF's own part, with a memory for each."""

    def __init__(self, learning_rate: float) -> None:
        """Start without memory."""
        self._rate = learning_rate
        self._adams: dict[str, Adam] = {}

    def step(self, models: SharedModels, rows: Mapping[str, Mapping[str, Vector]]) -> SharedModels:
        """Shared models after one outer step; an INMF without rows keeps its own part.

        Raises:
            NumericsError: if the result is not finite; `models` stay as they were.
        """
        trunk_gradient, own_gradients = split_gradients(models.specs, rows)
        trunk = self._adam("").step(models.trunk, trunk_gradient)
        own = dict(models.own)
        for inmf, gradient in own_gradients.items():
            own[inmf] = self._adam(inmf).step(own[inmf], gradient)
        if not all(np.isfinite(part).all() for part in (trunk, *own.values())):
            raise NumericsError("a shared model is not finite; the last good one stands")
        return SharedModels(models.specs, trunk, own)

    def _adam(self, name: str) -> Adam:
        return self._adams.setdefault(name, Adam(self._rate))


def to_split(
    shared_reward: Mapping[str, float],
    own_reward: Mapping[str, float],
    tolerance: float = TOLERANCE,
) -> list[str]:
    """INMFs that sharing harms: they get models of their own again.

    Args:
        shared_reward: post-adaptation reward with the shared trunk, by INMF.
        own_reward: the same with a model of its own.
        tolerance: share of |own_reward| that may be lost.
    """
    return sorted(
        inmf for inmf, own in own_reward.items() if shared_reward[inmf] < own - tolerance * abs(own)
    )
