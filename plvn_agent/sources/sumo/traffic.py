"""The one place that touches libsumo: a running simulation as arrays.

libsumo allows one simulation per process and blocks, so this runs in a child of its own. SUMO says
-1073741824 for what it does not know (a vehicle that teleports or waits to enter) and "" for the
lane of a parked one: neither is on the road, and both are dropped here.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from twintier.inmf.spec import Array
from twintier.plvn_agent.sources.sumo.clusters import Vehicles
from twintier.plvn_agent.sources.sumo.demand import Inputs
from twintier.plvn_agent.sources.sumo.roads import MOTOR_CLASSES

UNKNOWN_BELOW = -1e9
SLOT_S = 1.0
STEPS_S = (1.0, 0.5, 0.25, 0.2, 0.1)
"""Lengths of a step that a slot consists of, for scenarios that name none."""


def hash_id(vehicle: str, salt: int) -> bytes:
    """Eight bytes that stand for a vehicle outside the child."""
    return hashlib.blake2b(vehicle.encode(), digest_size=8, key=str(salt).encode()).digest()


def is_automated(digest: bytes, share: float) -> bool:
    """Draw a vehicle as CAV by its hash, so the draw depends on id and seed alone."""
    return int.from_bytes(digest, "big") < share * 2.0**64


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What follows from a vehicle's id and class."""

    digest: bytes
    motor: bool
    automated: bool


class Traffic:
    """A simulation in slots of a second, each of one step or more."""

    def __init__(self, arguments: Sequence[str], *, seed: int, automated_share: float) -> None:
        """Load the network and demand."""
        import libsumo  # noqa: PLC0415  half a second that only the child pays

        self._sumo: ModuleType = libsumo
        self._seed = seed
        self._share = automated_share
        self._drawn: dict[str, _Drawn] = {}
        self._parked: set[str] = set()
        self._limits: dict[str, float] = {}
        libsumo.start(["sumo", *arguments])
        self._time_s = float(libsumo.simulation.getTime())

    def step(self) -> Vehicles:
        """Advance by one second and see every vehicle on the road."""
        simulation = self._sumo.simulation
        self._time_s += SLOT_S
        simulation.step(self._time_s)
        self._parked.update(simulation.getParkingStartingVehiclesIDList())
        self._parked.difference_update(simulation.getParkingEndingVehiclesIDList())
        for vehicle in simulation.getArrivedIDList():
            self._drawn.pop(vehicle, None)
            self._parked.discard(vehicle)
        position_of = self._sumo.vehicle.getPosition
        ids: Sequence[str] = self._sumo.vehicle.getIDList()
        positions = np.array([position_of(vehicle) for vehicle in ids], dtype=np.float64)
        positions = positions.reshape(-1, 2)
        on_road = positions[:, 0] > UNKNOWN_BELOW
        if self._parked:
            on_road &= [vehicle not in self._parked for vehicle in ids]
        known = np.flatnonzero(on_road).tolist()
        if len(known) < len(ids):
            ids = [ids[index] for index in known]
            positions = positions[known]
        drawn = [self._draw(vehicle) for vehicle in ids]
        automated = np.array([each.automated for each in drawn], dtype=bool)
        return Vehicles(ids, positions, automated, np.array([e.motor for e in drawn], dtype=bool))

    def _draw(self, vehicle: str) -> _Drawn:
        drawn = self._drawn.get(vehicle)
        if drawn is None:
            digest = hash_id(vehicle, self._seed)
            motor = self._sumo.vehicle.getVehicleClass(vehicle) in MOTOR_CLASSES
            automated = motor and is_automated(digest, self._share)
            drawn = self._drawn[vehicle] = _Drawn(digest, motor, automated)
        return drawn

    @property
    def ended(self) -> bool:
        """Whether no vehicle is on the road and none will come."""
        return bool(self._sumo.simulation.getMinExpectedNumber() == 0)

    def hashed(self, vehicle: str) -> str:
        """What stands for a vehicle's id outside the child."""
        return self._draw(vehicle).digest.hex()

    def speed_limit_mps(self, vehicle: str) -> float | None:
        """The limit of the vehicle's lane; None off the road."""
        lane = self._sumo.vehicle.getLaneID(vehicle)
        if not lane:
            return None
        limit = self._limits.get(lane)
        if limit is None:
            limit = self._limits[lane] = float(self._sumo.lane.getMaxSpeed(lane))
        return limit

    def speed_mps(self, vehicle: str) -> float | None:
        """The vehicle's speed; None where SUMO does not know it."""
        speed = float(self._sumo.vehicle.getSpeed(vehicle))
        return speed if speed >= 0.0 else None

    def angle_deg(self, vehicles: Sequence[str]) -> Array:
        """(vehicles,) headings, 0 is north, clockwise."""
        angle_of = self._sumo.vehicle.getAngle
        return np.array([angle_of(vehicle) for vehicle in vehicles], dtype=np.float64)

    def lat_lon_deg(self, x_m: float, y_m: float) -> tuple[float, float]:
        """Latitude and longitude of a network position."""
        lon, lat = self._sumo.simulation.convertGeo(x_m, y_m)
        return float(lat), float(lon)

    def close(self) -> None:
        """End the simulation."""
        self._sumo.close()


def step_length_s(asked_s: float | None, least_tau_s: float) -> float:
    """Length of SUMO's steps, at most a slot.

    Args:
        asked_s: what the scenario names; None if it names none.
        least_tau_s: fastest reaction of a driver; a longer step makes such drivers crash.
    """
    if asked_s is not None:
        return min(asked_s, SLOT_S)
    return next((step for step in STEPS_S if step <= least_tau_s), STEPS_S[-1])


def start_arguments(
    network: str,
    inputs: Inputs,
    options: Sequence[tuple[str, str]],
    *,
    begin_s: float,
    step_s: float,
    seed: int,
) -> list[str]:
    """SUMO's command line, run in the scratch folder: the scenario's own options and no output.

    Files are named without their folder, whose name may hold a comma.
    """
    arguments = ["--net-file", network]
    if inputs.routes:
        arguments += ["--route-files", ",".join(path.name for path in inputs.routes)]
    if inputs.additional:
        arguments += ["--additional-files", ",".join(path.name for path in inputs.additional)]
    chosen = {
        **dict(options),
        "begin": str(begin_s),
        "step-length": str(step_s),
        "seed": str(seed % 2**31),
        "no-step-log": "true",
        "no-warnings": "true",
        "xml-validation": "never",
        "duration-log.disable": "true",
    }
    for name, value in chosen.items():
        arguments += [f"--{name}", value]
    return arguments
