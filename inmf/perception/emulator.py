"""The emulator of `live` cooperative perception: parameters, and traces drawn from them.

Built-in worlds and a twin's emulation models are this one class with different parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace

import numpy as np

from twintier.inmf.mobility import DISTANCE, FIVE_STATE, OBJECTS, Chain, Presence
from twintier.inmf.perception.condition import Condition
from twintier.inmf.perception.live import PAIRS
from twintier.inmf.trajectory import Trace

RADIO_HZ = 10e6
"""Radio resources that human-driven vehicles and CAV pairs share."""
HDV_HZ = 0.5e6
"""What one active human-driven vehicle takes."""
HDVS = 10
ACTIVITY = {"rush": 1.0, "day": 0.8, "night": 0.6}
"""Share of the human-driven vehicles that are active; 5, 6 and 7 MHz are left on average."""
BANDWIDTH_SD_HZ = 0.3e6
NOMINAL_CONDITION = Condition()
"""What an expert expects."""
REWARD_NOISE_J = 0.35
"""Deviation of a measured reward from the true one, per slot."""
HIGHWAY = {"objects": (2.0, 3.0, 4.0, 5.0, 6.0), "distance_m": (15.0, 30.0, 45.0, 60.0, 75.0)}
"""Levels on a highway: fewer objects, larger gaps (assumed)."""


@dataclass(frozen=True, slots=True)
class EmulatorParameters:
    """Everything that an emulated PLVN is made of."""

    bandwidth_mean_hz: float = 6e6
    bandwidth_sd_hz: float = BANDWIDTH_SD_HZ
    objects: Chain = OBJECTS
    distance: Chain = DISTANCE
    presence: tuple[Presence, ...] = (Presence(),) * PAIRS
    condition: Condition = NOMINAL_CONDITION
    reward_noise_j: float = REWARD_NOISE_J

    def to_dict(self) -> dict[str, object]:
        """Plain numbers and lists, for a file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> "EmulatorParameters":
        """The parameters of `to_dict`.

        Raises:
            ValueError: if one is missing or not what it should be.
        """
        plain = ("bandwidth_mean_hz", "bandwidth_sd_hz", "reward_noise_j")
        return cls(
            objects=_chain_of(values, "objects"),
            distance=_chain_of(values, "distance"),
            presence=_presence_of(values, "presence"),
            condition=_condition_of(values, "condition"),
            **{name: _number(values.get(name), name) for name in plain},
        )

    def in_condition(self, condition: Condition) -> "EmulatorParameters":
        """The same PLVN under another hidden condition."""
        return replace(self, condition=condition)


def draw_trace(
    parameters: EmulatorParameters, episodes: int, slots: int, rng: np.random.Generator
) -> Trace:
    """Emulated episodes: Gaussian bandwidth, Markov workload and distance, pairs come and go."""
    shape = (episodes, len(parameters.presence))
    bandwidth = rng.normal(
        parameters.bandwidth_mean_hz, parameters.bandwidth_sd_hz, (episodes, slots)
    )
    objects, distance = (
        np.moveaxis(chain.walk(chain.draw_first(shape, rng), slots, rng), -1, 1)
        for chain in (parameters.objects, parameters.distance)
    )
    present = np.stack(
        [pair.walk((episodes,), slots, rng) for pair in parameters.presence], axis=-1
    )
    return Trace(np.maximum(bandwidth, 0.0), objects, distance, present)


def expert(*, city: str, road: str, activity: str = "day") -> EmulatorParameters:
    """Expert values before any telemetry, by what a deployment knows of a PLVN."""
    del city  # hidden conditions differ by city, but an expert does not know how
    mean_hz = RADIO_HZ - HDV_HZ * HDVS * ACTIVITY[activity]
    if road.lower() != "highway":
        return EmulatorParameters(bandwidth_mean_hz=mean_hz)
    return EmulatorParameters(
        bandwidth_mean_hz=mean_hz,
        objects=Chain(HIGHWAY["objects"], FIVE_STATE),
        distance=Chain(HIGHWAY["distance_m"], FIVE_STATE),
    )


def _number(value: object, name: str) -> float:
    if not isinstance(value, int | float) or not np.isfinite(value):
        raise ValueError(f"{name} is {value!r}; it must be a finite number")
    return float(value)


def _numbers(values: object, name: str) -> tuple[float, ...]:
    return tuple(_number(value, name) for value in _list(values, name))


def _list(values: object, name: str) -> Sequence[object]:
    if not isinstance(values, list | tuple):
        raise ValueError(f"{name} is {values!r}; it must be a list")  # noqa: TRY004 (one error kind)
    return values


def _fields(values: object, name: str) -> Mapping[str, object]:
    if not isinstance(values, Mapping):
        raise ValueError(f"{name} is {values!r}; it must have named fields")  # noqa: TRY004
    return values


def _chain_of(values: Mapping[str, object], name: str) -> Chain:
    given = _fields(values.get(name), name)
    rows = tuple(_numbers(row, name) for row in _list(given.get("transition"), name))
    return Chain(_numbers(given.get("levels"), name), rows)


def _presence_of(values: Mapping[str, object], name: str) -> tuple[Presence, ...]:
    pairs = [_fields(pair, name) for pair in _list(values.get(name), name)]
    return tuple(
        Presence(_number(pair.get("appear"), name), _number(pair.get("leave"), name))
        for pair in pairs
    )


def _condition_of(values: Mapping[str, object], name: str) -> Condition:
    given = _fields(values.get(name), name)
    return Condition(
        **{each.name: _number(given.get(each.name), name) for each in fields(Condition)}
    )
