"""Traffic as RSUs see it: warm up, place RSUs, then one frame per slot.

Runs in SUMO's child process; everything per vehicle happens here, so what crosses the pipe is a
few numbers and at most 64 vehicles a PLVN.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from twintier.inmf.spec import Array
from twintier.plvn_agent.sources.sumo.clusters import (
    DiscSettings,
    Indices,
    PairRows,
    Vehicles,
    candidate_pairs,
    least_separation_m,
    nearest_rsu,
    place_rsus,
)
from twintier.plvn_agent.sources.sumo.frames import (
    ChildFailed,
    DiscSeen,
    Frame,
    RsusPlaced,
    SlotSeen,
    VehicleFrame,
)
from twintier.plvn_agent.sources.sumo.roads import SENSOR_RANGE_M, road_class
from twintier.plvn_agent.sources.sumo.traffic import Traffic

MAX_VEHICLES = 64
"""Described per PLVN and slot, nearest to the RSU first."""
SAMPLE_EVERY_S = 5
"""Positions are sampled this often in the warm-up."""


@dataclass(frozen=True, slots=True)
class CrossingSettings:
    """How RSUs are placed and what they see."""

    rsus: int
    warmup_s: int
    """Seconds of traffic; RSUs are placed after the first half, and the second half is history."""
    road: str | None
    """None: the class of the mean speed limit where vehicles drive."""
    sensor_range_m: float | None = None
    """None: by road class."""
    disc: DiscSettings = field(default_factory=DiscSettings)
    quiet_s: int = 0
    """Seconds before the first departure, which the warm-up follows."""


@dataclass(frozen=True, slots=True)
class Disc:
    """An RSU, its rows, and the map from network to geographic coordinates around it."""

    centre_m: Array
    rows: PairRows
    lat_lon_deg: Array
    """(2,) at the centre."""
    degrees_per_m: Array
    """(2, 2): change of (lat, lon) per metre of x and y; exact to centimetres in a disc."""


class Crossing:
    """Traffic seen from RSUs, slot by slot."""

    def __init__(self, settings: CrossingSettings, traffic: Traffic) -> None:
        """Take over a loaded simulation."""
        self._settings = settings
        self._traffic = traffic
        self._discs: list[Disc] = []

    def frames(self) -> Iterator[Frame]:
        """Warm up, place RSUs, then see slot after slot without end."""
        slot = 0
        samples: list[Array] = []
        limits: list[float] = []
        quiet = self._settings.quiet_s
        place_at = quiet + self._settings.warmup_s // 2
        while slot < place_at:
            vehicles = self._traffic.step()
            if slot % SAMPLE_EVERY_S == 0 and 4 * (slot - quiet) >= place_at - quiet:
                driving = np.flatnonzero(vehicles.motor).tolist()
                samples.append(vehicles.position_m[driving])
                names = (vehicles.ids[index] for index in driving)
                limits += filter(None, map(self._traffic.speed_limit_mps, names))
            slot += 1
        yield self._place(samples, limits)
        while not self._traffic.ended:
            yield SlotSeen(slot, self._see(self._traffic.step()))
            slot += 1
        yield ChildFailed(
            f"demand ended after {slot} simulated seconds; let it last longer with --demand-s or "
            "source.duration_sim_s"
        )

    def _place(self, samples_m: list[Array], limits: list[float]) -> Frame:
        centres = place_rsus(samples_m, self._settings.rsus, self._settings.disc)
        if len(centres) < self._settings.rsus:
            return ChildFailed(
                f"the warm-up showed traffic at {len(centres)} spots, not at "
                f"{self._settings.rsus}; ask for fewer RSUs (--rsus), a warm-up of more than "
                f"{self._settings.warmup_s} s (--warmup-s), or more demand"
            )
        road = self._settings.road or road_class(float(np.mean(limits)))
        sensor_range_m = self._settings.sensor_range_m or SENSOR_RANGE_M[road]
        self._discs = [self._disc(centre, sensor_range_m) for centre in centres]
        return RsusPlaced(
            [(float(d.lat_lon_deg[0]), float(d.lat_lon_deg[1])) for d in self._discs],
            least_separation_m(centres),
            road,
        )

    def _disc(self, centre: Array, sensor_range_m: float) -> Disc:
        here, east, north = (
            np.array(self._traffic.lat_lon_deg(float(centre[0] + x), float(centre[1] + y)))
            for x, y in ((0.0, 0.0), (100.0, 0.0), (0.0, 100.0))
        )
        slope = np.stack([east - here, north - here], axis=1) / 100.0
        return Disc(centre, PairRows(self._settings.disc, sensor_range_m), here, slope)

    def _see(self, vehicles: Vehicles) -> list[DiscSeen]:
        centres = np.stack([disc.centre_m for disc in self._discs])
        nearest, range_m = nearest_rsu(vehicles.position_m, centres)
        return [
            self._see_disc(
                disc, np.flatnonzero(vehicles.motor & (nearest == number)), range_m, vehicles
            )
            for number, disc in enumerate(self._discs)
        ]

    def _see_disc(self, disc: Disc, near: Indices, range_m: Array, vehicles: Vehicles) -> DiscSeen:
        settings = self._settings.disc
        automated = near[vehicles.automated[near]]
        staying_m = settings.radius_m * settings.leave_factor
        staying = {vehicles.ids[i]: int(i) for i in automated if range_m[i] <= staying_m}
        inside = near[range_m[near] <= settings.radius_m]
        automated_inside = inside[vehicles.automated[inside]]
        empty = disc.rows.keep(staying, vehicles)
        if empty:
            disc.rows.fill(empty, self._candidates(automated_inside, vehicles))
        nearest = inside[np.argsort(range_m[inside], kind="stable")[:MAX_VEHICLES]]
        described, speed_share = self._describe(disc, nearest, vehicles)
        return DiscSeen(
            members=inside.size,
            speed_share=speed_share,
            human_driven=inside.size - automated_inside.size,
            pairs=[
                None if state is None else (state.objects, state.distance_m)
                for state in disc.rows.states(staying, vehicles)
            ],
            vehicles=described,
        )

    def _candidates(self, members: Indices, vehicles: Vehicles) -> Iterator[tuple[str, str]]:
        names = [vehicles.ids[index] for index in members]
        angle_deg = self._traffic.angle_deg(names)
        pairs = candidate_pairs(vehicles.position_m[members], angle_deg, self._settings.disc)
        return ((names[follower], names[leader]) for follower, leader in pairs)

    def _describe(
        self, disc: Disc, members: Indices, vehicles: Vehicles
    ) -> tuple[list[VehicleFrame], float | None]:
        """States of members for the wire, and their mean of speed over limit."""
        offset_m = vehicles.position_m[members] - disc.centre_m
        lat_lon_deg = (disc.lat_lon_deg + offset_m @ disc.degrees_per_m.T).tolist()
        described: list[VehicleFrame] = []
        shares: list[float] = []
        for index, (lat_deg, lon_deg) in zip(members.tolist(), lat_lon_deg, strict=True):
            name = vehicles.ids[index]
            speed_mps = self._traffic.speed_mps(name)
            limit_mps = self._traffic.speed_limit_mps(name)
            described.append((self._traffic.hashed(name), lat_deg, lon_deg, speed_mps))
            if speed_mps is not None and limit_mps:
                shares.append(speed_mps / limit_mps)
        return described, sum(shares) / len(shares) if shares else None
