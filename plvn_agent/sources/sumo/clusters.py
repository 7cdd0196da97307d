"""Who belongs to a PLVN, and which automated vehicles form its pairs: geometry only, no SUMO.

A PLVN is the disc around an RSU; a vehicle belongs to the nearest RSU only. A pair is a follower
and the nearest automated vehicle ahead of it. It keeps its row until one of the two leaves or they
drift apart; then the row stays empty for a slot, so a row never passes from one pair to another
unnoticed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twintier.inmf.spec import Array, Mask

CELL_M = 50.0
"""Grid of the spots where an RSU may stand."""
RELAXING = 0.85
"""Factor on the separation in each step."""

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DiscSettings:
    """Ranges of an RSU and of its vehicles; all are assumed but the radius and the separation."""

    radius_m: float = 300.0
    min_members: float = 10.0
    """A disc with fewer vehicles on average is too empty to be worth an RSU."""
    separation_m: float = 600.0
    """Least distance between RSUs, relaxed where the network is too small."""
    pair_range_m: float = 150.0
    """A pair forms within this distance."""
    tracked_objects: int = 8
    """A receiver tracks the nearest ones at most, so a jam does not dwarf all other slots: the
    gain grows with the cube of the workload."""
    leave_factor: float = 1.15
    """A pair ends beyond this factor on radius and pair range (hysteresis)."""
    ahead_cos: float = 0.7071
    """A leader is in the 45 degree cone ahead and heads the same way."""
    pairs: int = 3


@dataclass(frozen=True, slots=True)
class Vehicles:
    """All vehicles on the road in one slot."""

    ids: Sequence[str]
    position_m: Array
    """(vehicles, 2): network coordinates."""
    automated: Mask
    """(vehicles,): drawn as CAV."""
    motor: Mask
    """(vehicles,): a road motor vehicle; all others are objects to a sensor and nothing else."""


def place_rsus(samples_m: Sequence[Array], count: int, settings: DiscSettings) -> Array:
    """Choose the busiest spots greedily, as far apart as `separation_m` where that is possible.

    The separation shrinks step by step while there are too few spots, and down to the radius while
    the least busy disc has fewer than `min_members` vehicles of its own.

    Args:
        samples_m: positions of all vehicles, (n, 2) at each sampled time.
        count: number of RSUs wanted.
        settings: disc radius and separation.

    Returns:
        (k, 2) positions, busiest first, k <= count: fewer only if there are fewer spots.
    """
    seen_m = np.concatenate([np.zeros((0, 2)), *samples_m])
    cells, counts = np.unique(np.floor(seen_m / CELL_M), axis=0, return_counts=True)
    weights = counts.astype(np.float64)
    spots_m = (cells + 0.5) * CELL_M
    busy = _within(cells.astype(np.int64), weights, settings.radius_m)
    separation_m = settings.separation_m
    while True:
        chosen = _greedy(busy, spots_m, count, separation_m)
        relaxed_m = separation_m * RELAXING
        enough = len(chosen) == count and (
            relaxed_m < settings.radius_m
            or _own_members(spots_m, weights, chosen, settings.radius_m).min()
            >= settings.min_members * len(samples_m)
        )
        if enough or separation_m < CELL_M:
            return np.asarray(spots_m[chosen], dtype=np.float64)
        separation_m = relaxed_m


def _within(cells: Indices, weights: Array, radius_m: float) -> Array:
    """Weight of all cells within the radius of each, (cells,).

    Cells are looked up by their offset, so memory grows with their number and not its square.

    Args:
        cells: (cells, 2) column and row, sorted, each once.
        weights: (cells,) of each.
        radius_m: between the middles of two cells.
    """
    total = np.zeros(len(cells))
    if not len(cells):
        return total
    reach = int(radius_m // CELL_M)
    keys, low, width = _keys(cells, reach)
    for column, row in np.ndindex(2 * reach + 1, 2 * reach + 1):
        if np.hypot(column - reach, row - reach) * CELL_M > radius_m:
            continue
        wanted = (cells[:, 0] - low[0] + column - reach) * width
        wanted += cells[:, 1] - low[1] + row - reach
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        total += np.where(keys[at] == wanted, weights[at], 0.0)
    return total


def _keys(cells: Indices, margin: int) -> tuple[Indices, Indices, int]:
    """One increasing number a cell, with the origin and the width of rows that they count by."""
    low = cells.min(axis=0) - margin
    width = int(cells[:, 1].max() - low[1]) + margin + 1
    keys = (cells[:, 0] - low[0]) * width + cells[:, 1] - low[1]
    return keys, low, width


def _distances_m(spots_m: Array, chosen: Sequence[int]) -> Array:
    """(chosen, spots) from each chosen spot to all."""
    between_m = np.linalg.norm(spots_m[list(chosen), None] - spots_m[None], axis=2)
    return np.asarray(between_m, dtype=np.float64)


def _own_members(spots_m: Array, weights: Array, chosen: Sequence[int], radius_m: float) -> Array:
    """Vehicles of each disc that no nearer RSU takes, summed over time, (discs,)."""
    range_m = _distances_m(spots_m, chosen)
    nearest = np.argmin(range_m, axis=0)
    inside = range_m.min(axis=0) <= radius_m
    own = np.bincount(nearest[inside], weights[inside], minlength=len(range_m))
    return own.astype(np.float64)


def _greedy(busy: Array, spots_m: Array, count: int, separation_m: float) -> list[int]:
    open_spots = np.ones(busy.size, dtype=bool)
    chosen: list[int] = []
    while len(chosen) < count and open_spots.any():
        best = int(np.argmax(np.where(open_spots, busy, -1.0)))
        chosen.append(best)
        open_spots &= _distances_m(spots_m, [best])[0] >= separation_m
    return chosen


def least_separation_m(positions_m: Array) -> float:
    """Least distance between two of (n, 2) positions; infinite for fewer than two."""
    between_m = np.linalg.norm(positions_m[:, None] - positions_m[None], axis=2)
    return float((between_m + np.diag(np.full(len(positions_m), np.inf))).min())


def nearest_rsu(position_m: Array, rsus_m: Array) -> tuple[Indices, Array]:
    """Index of and distance to the nearest RSU of each vehicle, (vehicles,) both."""
    distance_m = np.linalg.norm(position_m[:, None] - rsus_m[None], axis=2)
    nearest = np.argmin(distance_m, axis=1)
    return nearest.astype(np.int64), distance_m[np.arange(nearest.size), nearest]


def candidate_pairs(
    position_m: Array, angle_deg: Array, settings: DiscSettings
) -> Iterator[tuple[int, int]]:
    """Followers with the nearest vehicle ahead, closest first; a vehicle may occur twice.

    Args:
        position_m: (n, 2) of automated vehicles of one disc.
        angle_deg: (n,) heading, 0 is north, clockwise.
        settings: pair range and cone.
    """
    if len(position_m) < 2:
        return
    heading = np.stack([np.sin(np.radians(angle_deg)), np.cos(np.radians(angle_deg))], axis=1)
    offset_m = position_m[None] - position_m[:, None]
    distance_m = np.linalg.norm(offset_m, axis=2)
    ahead_m = np.einsum("ijk,ik->ij", offset_m, heading)
    fits = ahead_m >= settings.ahead_cos * np.maximum(distance_m, 1e-6)
    fits &= heading @ heading.T >= settings.ahead_cos
    distance_m = np.where(fits & (distance_m <= settings.pair_range_m), distance_m, np.inf)
    leader = np.argmin(distance_m, axis=1)
    closest = distance_m[np.arange(leader.size), leader]
    for follower in np.argsort(closest, kind="stable"):
        if not np.isfinite(closest[follower]):
            return
        yield int(follower), int(leader[follower])


@dataclass(frozen=True, slots=True)
class PairState:
    """What the MDP sees of one pair."""

    objects: int
    distance_m: float


class PairRows:
    """The rows of one PLVN: which two vehicles hold each."""

    def __init__(self, settings: DiscSettings, sensor_range_m: float) -> None:
        """Begin with empty rows; objects in the sensor range of the receiver are its workload."""
        self._settings = settings
        self._sensor_range_m = sensor_range_m
        self._rows: list[tuple[str, str] | None] = [None] * settings.pairs

    @property
    def rows(self) -> tuple[tuple[str, str] | None, ...]:
        """Follower and leader of each row."""
        return tuple(self._rows)

    def keep(self, members: dict[str, int], vehicles: Vehicles) -> list[int]:
        """End the pairs that broke up.

        Args:
            members: index into `vehicles` of each vehicle within the radius of leaving.
            vehicles: all vehicles of this slot.

        Returns:
            Rows that were empty before: only these may be filled in this slot.
        """
        empty = [row for row, pair in enumerate(self._rows) if pair is None]
        limit_m = self._settings.pair_range_m * self._settings.leave_factor
        for row, pair in enumerate(self._rows):
            if pair is None:
                continue
            ends = [members.get(vehicle) for vehicle in pair]
            if None in ends or _distance_m(vehicles, ends[0], ends[1]) > limit_m:
                self._rows[row] = None
        return empty

    def fill(self, empty: Sequence[int], pairs: Iterator[tuple[str, str]]) -> None:
        """Put new pairs into empty rows; a vehicle is in one pair only."""
        taken = {vehicle for pair in self._rows if pair for vehicle in pair}
        free = list(empty)
        for pair in pairs:
            if not free:
                return
            if taken.isdisjoint(pair):
                self._rows[free.pop(0)] = pair
                taken.update(pair)

    def states(self, members: dict[str, int], vehicles: Vehicles) -> list[PairState | None]:
        """Workload and distance of each row; None for an empty one."""
        return [
            None if pair is None else self._state(members[pair[0]], members[pair[1]], vehicles)
            for pair in self._rows
        ]

    def _state(self, follower: int, leader: int, vehicles: Vehicles) -> PairState:
        offset_m = vehicles.position_m - vehicles.position_m[follower]
        range_m = np.hypot(offset_m[:, 0], offset_m[:, 1])
        seen = range_m <= self._sensor_range_m
        seen[[follower, leader]] = False
        objects = min(int(np.count_nonzero(seen)), self._settings.tracked_objects)
        return PairState(objects, float(range_m[leader]))


def _distance_m(vehicles: Vehicles, one: int | None, other: int | None) -> float:
    assert one is not None
    assert other is not None
    return float(np.linalg.norm(vehicles.position_m[one] - vehicles.position_m[other]))
