"""The built-in simulator: PLVNs without vehicles, but with what vehicles would show.

The hour sets how active human-driven vehicles are on the radio; the road sets the Markov chains of
workload and distance of each pair of automated ones.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from twintier.inmf.mobility import DISTANCE, FIVE_STATE, OBJECTS, Chain
from twintier.inmf.spec import Array
from twintier.inmf.traffic import Traffic, WorldSeed
from twintier.plvn_agent.source import PlvnProfile, Source
from twintier.plvn_agent.sources.daytime import activity_at, hour_at
from twintier.plvn_agent.sources.registry import SourceOptions
from twintier.protocol.ids import PlvnId
from twintier.protocol.messages import Site

SLOT_S = 1.0
LINKS = 3
"""Pairs of automated vehicles of each PLVN."""
HUMAN_DRIVEN = 10.0
"""Human-driven vehicles within reach, on average."""
HISTORY_SLOTS = 75
"""Slots that pass unmanaged, so that the first attributes are measured ones."""
BLOCK_SLOTS = 256
"""Workload and distance are drawn this many slots at a time."""
CENTRES_DEG = {"toronto": (43.65, -79.38), "vancouver": (49.26, -123.12)}
ROADS = {
    "highway": (
        Chain((2.0, 3.0, 4.0, 5.0, 6.0), FIVE_STATE),
        Chain((15.0, 30.0, 45.0, 60.0, 75.0), FIVE_STATE),
    ),
    "local": (OBJECTS, DISTANCE),
}
"""Workload and distance in m by road: fewer objects and larger gaps on a highway (assumed)."""
SPACING_DEG = 0.02
"""PLVNs of a city lie this far apart."""


def builtin_profiles(plvns: int) -> list[PlvnProfile]:
    """PLVNs over cities and roads in turn: `toronto-highway-1`, `toronto-local-1`, and so on."""
    kinds = [(city, road) for city in CENTRES_DEG for road in ROADS]
    profiles = []
    for index in range(plvns):
        city, road = kinds[index % len(kinds)]
        number = index // len(kinds) + 1
        lat_deg, lon_deg = CENTRES_DEG[city]
        site = Site(
            city=city,
            road=road,
            lat_deg=lat_deg + SPACING_DEG * (road != "highway"),
            lon_deg=lon_deg + SPACING_DEG * (number % 100),
        )
        profiles.append(PlvnProfile(PlvnId(f"{city}-{road}-{number}"), site))
    return profiles


@dataclass(slots=True)
class _Walk:
    """An endless walk of all links over one chain, drawn in blocks."""

    chain: Chain
    rng: np.random.Generator
    values: Array
    """(links, BLOCK_SLOTS + 1): the last column begins the next block."""
    next_column: int = BLOCK_SLOTS

    @classmethod
    def begin(cls, chain: Chain, rng: np.random.Generator) -> "_Walk":
        first = np.asarray(chain.levels)[chain.draw_first((LINKS,), rng)]
        return cls(chain, rng, np.repeat(first[:, None], BLOCK_SLOTS + 1, axis=1))

    def next(self) -> Array:
        """The values of one slot, (links,)."""
        if self.next_column == BLOCK_SLOTS:
            level = np.searchsorted(self.chain.levels, self.values[:, BLOCK_SLOTS])
            self.values = self.chain.walk(level, BLOCK_SLOTS + 1, self.rng)
            self.next_column = 0
        self.next_column += 1
        return self.values[:, self.next_column - 1].copy()


class _Plvn:
    """One simulated PLVN."""

    def __init__(self, profile: PlvnProfile, seed: WorldSeed) -> None:
        self.profile = profile
        self.seed = seed
        objects, distance = ROADS[profile.site.road]
        self._objects = _Walk.begin(objects, seed.generator("traffic.objects"))
        self._distance = _Walk.begin(distance, seed.generator("traffic.distance"))

    def observe(self, slot: int, hour: float, activity: float) -> Traffic:
        return Traffic(
            slot=slot,
            sim_time_s=slot * SLOT_S,
            hour=hour,
            activity=activity,
            human_driven=HUMAN_DRIVEN,
            vehicle_number=round(HUMAN_DRIVEN) + 2 * LINKS,
            link_objects=self._objects.next(),
            link_distance_m=self._distance.next(),
            link_present=np.ones(LINKS, bool),
        )


class BuiltinSource(Source):
    """Built-in PLVNs on one simulated clock that starts at `start_hour`."""

    slot_s = SLOT_S

    def __init__(
        self, plvns: int, *, seed: int, start_hour: float = 8.0, constant: bool = False
    ) -> None:
        """Set up the traffic.

        Args:
            plvns: number of PLVNs.
            seed: of everything random; a PLVN's draws do not depend on how many others there are.
            start_hour: civil hour of the first slot.
            constant: neither the hour nor events change anything.
        """
        self._start_hour = start_hour
        self._constant = constant
        self._seed = seed
        self._slot = -1
        self._history: dict[PlvnId, list[Traffic]] = defaultdict(list)
        self._plvns = {
            profile.plvn: _Plvn(profile, WorldSeed(seed, profile.plvn, constant=constant))
            for profile in builtin_profiles(plvns)
        }

    @property
    def clock_id(self) -> str:
        """Names the simulated clock in envelopes."""
        return f"builtin-{self._seed}"

    @property
    def plvns(self) -> Sequence[PlvnProfile]:
        """The PLVNs."""
        return [plvn.profile for plvn in self._plvns.values()]

    async def start(self) -> None:
        """Let the history pass."""
        for _ in range(HISTORY_SLOTS):
            for name, slot in (await self.observe()).items():
                self._history[name].append(slot)

    def history(self, plvn: PlvnId) -> Sequence[Traffic]:
        """The slots before the first one that is managed."""
        return self._history[plvn]

    async def observe(self) -> Mapping[PlvnId, Traffic]:
        """Advance by one slot and see every PLVN."""
        self._slot += 1
        hour = hour_at(self._start_hour, self._slot * SLOT_S)
        activity = activity_at(self._start_hour if self._constant else hour)
        return {
            name: plvn.observe(self._slot, hour, activity) for name, plvn in self._plvns.items()
        }

    def world_seed(self, plvn: PlvnId) -> WorldSeed:
        """The seed of the whole, for this PLVN."""
        return self._plvns[plvn].seed

    async def stop(self) -> None:
        """Nothing was started."""


class Builtin:
    """The kind of source that options name `builtin`."""

    def make(self, options: SourceOptions) -> BuiltinSource:
        """As many PLVNs as the options say."""
        return BuiltinSource(
            plvns=options.plvns,
            seed=options.seed,
            start_hour=options.start_hour,
            constant=options.constant,
        )

    def possible_plvns(self, options: SourceOptions) -> Sequence[PlvnId]:
        """Exactly those that it has."""
        return [profile.plvn for profile in builtin_profiles(options.plvns)]
