"""The emulator of `live` cooperative perception: parameters, and traces drawn from them.

Built-in worlds and a twin's emulation models are this one class with different parameters.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from inmf.condition import Condition
from inmf.live import PAIRS
from inmf.mobility import DISTANCE, FIVE_STATE, OBJECTS, Chain, Presence
from inmf.trajectory import Trace

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
            KeyError: if one is missing.
        """
        presence = values["presence"]
        assert isinstance(presence, list | tuple)
        return cls(
            bandwidth_mean_hz=_number(values["bandwidth_mean_hz"]),
            bandwidth_sd_hz=_number(values["bandwidth_sd_hz"]),
            objects=_chain_of(values["objects"]),
            distance=_chain_of(values["distance"]),
            presence=tuple(Presence(_number(p["appear"]), _number(p["leave"])) for p in presence),
            condition=_condition_of(values["condition"]),
            reward_noise_j=_number(values["reward_noise_j"]),
        )

    def in_condition(self, condition: Condition) -> "EmulatorParameters":
        """The same PLVN under another hidden condition."""
        return replace(self, condition=condition)


def draw_trace(
    parameters: EmulatorParameters, episodes: int, slots: int, rng: np.random.Generator
) -> Trace:
    """Emulated episodes: Gaussian bandwidth, Markov workload and distance, pairs come and go."""
    shape = (episodes, PAIRS)
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


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _chain_of(value: object) -> Chain:
    assert isinstance(value, Mapping)
    rows = tuple(tuple(float(p) for p in row) for row in value["transition"])
    return Chain(tuple(float(level) for level in value["levels"]), rows)


def _condition_of(value: object) -> Condition:
    assert isinstance(value, Mapping)
    return Condition(**{name: _number(number) for name, number in value.items()})
