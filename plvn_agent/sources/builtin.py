"""The built-in simulator: PLVNs without vehicles, drawn from the emulator's own model.

Hour sets the activity of human-driven vehicles and so the bandwidth left; road sets the Markov
chains of workload and distance; city sets the noise floor, which is hidden; seeded events change
the rest of the hidden condition.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from twintier.inmf.mobility import Chain
from twintier.inmf.perception.emulator import ACTIVITY, HDVS, EmulatorParameters, expert
from twintier.inmf.perception.live import COOP_PERCEPTION, PAIRS
from twintier.inmf.trajectory import Array, Mask
from twintier.plvn_agent.source import PlvnProfile, SlotMeasured, SlotObserved
from twintier.plvn_agent.sources.conditions import (
    ConditionEvent,
    ConditionSchedule,
    generator_of,
    start_condition,
)
from twintier.plvn_agent.sources.daytime import hour_at, period_of_day
from twintier.plvn_agent.sources.measuring import HiddenReward
from twintier.protocol.ids import PlvnId
from twintier.protocol.messages import Site

SLOT_S = COOP_PERCEPTION.slot_s
HISTORY_SLOTS = 75
"""Slots that pass unmanaged, so that the first attributes are measured ones."""
BLOCK_SLOTS = 256
"""Workload and distance are drawn this many slots at a time."""
CENTRES_DEG = {"toronto": (43.65, -79.38), "vancouver": (49.26, -123.12)}
NOISE_DB = {"toronto": 1.0, "vancouver": 5.0}
"""Rise of the noise floor by city (assumed: within the prior, events come on top)."""
ROADS = ("highway", "local")
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
            lat_deg=lat_deg + SPACING_DEG * ROADS.index(road),
            lon_deg=lon_deg + SPACING_DEG * (number % 100),
        )
        profiles.append(PlvnProfile(PlvnId(f"{city}-{road}-{number}"), site))
    return profiles


@dataclass(slots=True)
class _Walk:
    """An endless walk of all pairs over one chain, drawn in blocks."""

    chain: Chain
    rng: np.random.Generator
    values: Array
    """(pairs, BLOCK_SLOTS + 1): the last column begins the next block."""
    next_column: int = BLOCK_SLOTS

    @classmethod
    def begin(cls, chain: Chain, rng: np.random.Generator) -> "_Walk":
        first = np.asarray(chain.levels)[chain.draw_first((PAIRS,), rng)]
        return cls(chain, rng, np.repeat(first[:, None], BLOCK_SLOTS + 1, axis=1))

    def next(self) -> Array:
        """The values of one slot, (pairs,)."""
        if self.next_column == BLOCK_SLOTS:
            level = np.searchsorted(self.chain.levels, self.values[:, BLOCK_SLOTS])
            self.values = self.chain.walk(level, BLOCK_SLOTS + 1, self.rng)
            self.next_column = 0
        self.next_column += 1
        return self.values[:, self.next_column - 1].copy()


class _Plvn:
    """One simulated PLVN."""

    def __init__(self, profile: PlvnProfile, *, seed: int, constant: bool) -> None:
        self.profile = profile
        plvn, site = profile.plvn, profile.site
        self._rng = generator_of(seed, plvn, "traffic")
        self._parameters = {
            activity: expert(city=site.city, road=site.road, activity=activity)
            for activity in ACTIVITY
        }
        parameters = self._parameters["day"]
        self._objects = _Walk.begin(parameters.objects, self._rng)
        self._distance = _Walk.begin(parameters.distance, self._rng)
        start = start_condition(seed, plvn, NOISE_DB[site.city])
        self.schedule = ConditionSchedule(seed, plvn, start, constant=constant)
        self._reward = HiddenReward(self.schedule, generator_of(seed, plvn, "noise"))
        self._observed: SlotObserved | None = None

    def parameters(self, activity: str, sim_time_s: float) -> EmulatorParameters:
        """What this PLVN is made of at a time."""
        condition = self.schedule.condition_at(sim_time_s)
        return self._parameters[activity].in_condition(condition)

    def observe(self, slot: int, hour: float, activity: str) -> SlotObserved:
        parameters = self._parameters[activity]
        bandwidth_hz = self._rng.normal(parameters.bandwidth_mean_hz, parameters.bandwidth_sd_hz)
        self._observed = SlotObserved(
            slot=slot,
            sim_time_s=slot * SLOT_S,
            hour=hour,
            bandwidth_hz=max(0.0, float(bandwidth_hz)),
            objects=self._objects.next(),
            distance_m=self._distance.next(),
            present=np.ones(PAIRS, dtype=bool),
            vehicle_number=HDVS + 2 * PAIRS,
            mean_speed_share=None,
            vehicles=(),
        )
        return self._observed

    def measure(self, modes: Mask) -> SlotMeasured:
        assert self._observed is not None, "observe a slot before measuring it"
        return self._reward.measure(self._observed, modes)


class BuiltinSource:
    """Built-in PLVNs on one simulated clock that starts at `start_hour`."""

    def __init__(
        self, plvns: int, *, seed: int, start_hour: float = 8.0, constant: bool = False
    ) -> None:
        """Set up the world.

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
        self._history: dict[PlvnId, list[SlotObserved]] = defaultdict(list)
        self._plvns = {
            profile.plvn: _Plvn(profile, seed=seed, constant=constant)
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

    def history(self, plvn: PlvnId) -> Sequence[SlotObserved]:
        """The slots before the first one that is managed."""
        return self._history[plvn]

    async def observe(self) -> Mapping[PlvnId, SlotObserved]:
        """Advance by one slot and see every PLVN."""
        self._slot += 1
        hour = hour_at(self._start_hour, self._slot * SLOT_S)
        activity = self._activity(self._slot * SLOT_S)
        return {
            name: plvn.observe(self._slot, hour, activity) for name, plvn in self._plvns.items()
        }

    def measure(self, plvn: PlvnId, modes: Mask) -> SlotMeasured:
        """Carry out modes, (pairs,), in the present slot; once per PLVN and slot."""
        return self._plvns[plvn].measure(modes)

    async def stop(self) -> None:
        """Nothing was started."""

    def true_parameters(self, plvn: PlvnId, sim_time_s: float) -> EmulatorParameters:
        """The simulator itself at a time, to evaluate models on; hidden from agents and twins."""
        return self._plvns[plvn].parameters(self._activity(sim_time_s), sim_time_s)

    def events_until(self, plvn: PlvnId, sim_time_s: float) -> Sequence[ConditionEvent]:
        """The events that a PLVN has seen."""
        return self._plvns[plvn].schedule.events_until(sim_time_s)

    def _activity(self, sim_time_s: float) -> str:
        return period_of_day(hour_at(self._start_hour, 0.0 if self._constant else sim_time_s))
