"""PLVNs on real roads: SUMO in a child process, seen from RSU discs.

The child runs ahead as far as its pipe has room, so reading a slot seldom waits. Its death shows
as `SourceError` in the slot that is missing.
"""

import asyncio
import hashlib
import os
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import structlog

from twintier.inmf.traffic import Traffic, Vehicle, WorldSeed
from twintier.plvn_agent.source import PlvnProfile, Source, SourceError
from twintier.plvn_agent.sources.daytime import activity_at, hour_at
from twintier.plvn_agent.sources.sumo.child import ChildSettings
from twintier.plvn_agent.sources.sumo.clusters import DiscSettings
from twintier.plvn_agent.sources.sumo.crossing import CrossingSettings
from twintier.plvn_agent.sources.sumo.demand import (
    Horizon,
    link_network,
    write_inputs,
    write_random_trips,
)
from twintier.plvn_agent.sources.sumo.frames import DiscSeen, RsusPlaced, SlotSeen
from twintier.plvn_agent.sources.sumo.lights import write_cycles
from twintier.plvn_agent.sources.sumo.place import check_place
from twintier.plvn_agent.sources.sumo.process import SumoProcess
from twintier.plvn_agent.sources.sumo.scenario import SumoScenario, check_scenario
from twintier.plvn_agent.sources.sumo.traffic import SLOT_S, start_arguments, step_length_s
from twintier.protocol.ids import PlvnId
from twintier.protocol.messages import Site

log = structlog.get_logger()
HISTORY_SLOTS = 300
MAX_DEPLOYMENT_LENGTH = 56
MAX_CLOCK_LENGTH = 40
MAX_CITY_LENGTH = 64
HASH_LENGTH = 8
"""Hexadecimal digits that tell names apart which look the same without what was lost of them."""


@dataclass(frozen=True, slots=True)
class SumoSettings:
    """How a scenario is run; the defaults are assumed where the design names none."""

    seed: int = 1
    rsus: int = 4
    start_hour: float = 8.0
    """Civil hour of the first simulated second."""
    warmup_s: int = 600
    """Seconds of traffic after the first departure. RSUs are placed after the first half; the last
    300 slots are history."""
    constant: bool = False
    """Demand keeps a constant rate, hidden conditions stay."""
    cav_share: float = 0.3
    duration_sim_s: float = 36_000.0
    """Demand lasts at least this long after the warm-up."""
    disc: DiscSettings = field(default_factory=DiscSettings)
    start_timeout_s: float = 180.0
    slot_timeout_s: float = 60.0
    stop_timeout_s: float = 1.0


def deployment_of(city: str, road: str, limit: int = MAX_DEPLOYMENT_LENGTH) -> str:
    """City and road as the beginning of ids: no character that a topic may not hold.

    Where more than case and spaces is lost a hash follows, so other cities have other ids.
    """
    whole = re.sub(r"[\s_-]+", "-", f"{city}-{road}".lower()).strip("-")
    name = re.sub(r"[^a-z0-9]+", "-", whole).strip("-")
    if name == whole and len(name) <= limit:
        return name
    digest = hashlib.blake2b(whole.encode(), digest_size=HASH_LENGTH // 2).hexdigest()
    kept = name[: limit - HASH_LENGTH - 1].rstrip("-") or "sumo"
    return f"{kept}-{digest}"


def plvn_ids(scenario: SumoScenario, road: str, count: int) -> Sequence[PlvnId]:
    """Ids of the PLVNs of a scenario, in the order of their RSUs."""
    deployment = scenario.name or deployment_of(scenario.city, road)
    return [PlvnId(f"{deployment}-rsu{number}") for number in range(1, count + 1)]


def _traffic(slot: int, hour: float, activity: float, seen: DiscSeen) -> Traffic:
    """One RSU disc in one slot."""
    rows = [(0, 0.0) if pair is None else pair for pair in seen.pairs]
    return Traffic(
        slot=slot,
        sim_time_s=slot * SLOT_S,
        hour=hour,
        activity=activity,
        human_driven=seen.human_driven,
        vehicle_number=seen.members,
        mean_speed_share=seen.speed_share,
        vehicles=tuple(Vehicle(*vehicle) for vehicle in seen.vehicles),
        link_objects=np.array([row[0] for row in rows], dtype=np.float64),
        link_distance_m=np.array([row[1] for row in rows], dtype=np.float64),
        link_present=np.array([pair is not None for pair in seen.pairs], dtype=bool),
    )


class SumoSource(Source):
    """The PLVNs of one SUMO scenario."""

    slot_s = SLOT_S

    def __init__(self, scenario: SumoScenario, settings: SumoSettings) -> None:
        """Take a scenario; nothing starts before `start`."""
        self._scenario = scenario
        self._settings = settings
        self._process = SumoProcess(scenario.city, stop_timeout_s=settings.stop_timeout_s)
        self._plvns: dict[PlvnId, PlvnProfile] = {}
        self._history: dict[PlvnId, deque[Traffic]] = {}
        self._warmup_s = settings.warmup_s

    @property
    def clock_id(self) -> str:
        """Names the simulated clock in envelopes."""
        name = self._scenario.name or deployment_of(self._scenario.city, "sumo", MAX_CLOCK_LENGTH)
        return f"{name}-{self._settings.seed}"

    @property
    def plvns(self) -> Sequence[PlvnProfile]:
        """The PLVNs; none before `start`."""
        return list(self._plvns.values())

    @property
    def child_pid(self) -> int | None:
        """Process id of SUMO's process while it runs."""
        return self._process.pid

    async def start(self) -> None:
        """Write demand, start SUMO, warm up, place RSUs.

        Raises:
            SourceError: if SUMO or the scenario cannot be used, or the child ends.
        """
        try:
            async with asyncio.timeout(self._settings.start_timeout_s):
                await self._begin()
        except TimeoutError as error:
            await self.stop()
            raise SourceError(
                f"{self._scenario.city}: the warm-up took over {self._settings.start_timeout_s} s; "
                "use a smaller network or less demand"
            ) from error
        except (SourceError, asyncio.CancelledError):
            await self.stop()
            raise

    def history(self, plvn: PlvnId) -> Sequence[Traffic]:
        """The last slots of the warm-up, at most 300."""
        return tuple(self._history[plvn])

    async def observe(self) -> Mapping[PlvnId, Traffic]:
        """Advance by one slot and see every PLVN.

        Raises:
            SourceError: if the child has died, is stuck, or the demand has ended.
        """
        try:
            async with asyncio.timeout(self._settings.slot_timeout_s):
                return await self._next_slot()
        except TimeoutError as error:
            raise SourceError(
                f"{self._scenario.city}: SUMO gave no slot for {self._settings.slot_timeout_s} s; "
                "start again"
            ) from error

    def world_seed(self, plvn: PlvnId) -> WorldSeed:
        """The seed of the whole, for this PLVN; events count from the end of the warm-up."""
        settings = self._settings
        return WorldSeed(
            settings.seed, plvn, constant=settings.constant, online_from_s=self._warmup_s
        )

    async def stop(self) -> None:
        """End the child and remove the scratch folder; may be called again."""
        await self._process.stop()

    async def _begin(self) -> None:
        check_scenario(self._scenario)
        await self._process.start(self._prepare)
        frame = await self._process.read()
        assert isinstance(frame, RsusPlaced)
        self._take_rsus(frame)
        slot = -1
        while slot < self._warmup_s - 1:
            for plvn, observed in (await self._next_slot()).items():
                self._history[plvn].append(observed)
                slot = observed.slot

    def _prepare(self, scratch: Path) -> ChildSettings:
        scenario, settings = self._scenario, self._settings
        horizon = Horizon(
            begin_s=scenario.begin_s,
            end_s=scenario.begin_s + settings.warmup_s + settings.duration_sim_s,
            constant=settings.constant,
        )
        arguments, quiet_s = prepare_inputs(scenario, horizon, scratch, seed=settings.seed)
        self._warmup_s = quiet_s + settings.warmup_s
        return ChildSettings(
            arguments=arguments,
            seed=settings.seed,
            automated_share=settings.cav_share,
            parent=os.getpid(),
            crossing=CrossingSettings(
                rsus=settings.rsus,
                warmup_s=settings.warmup_s,
                road=scenario.road,
                sensor_range_m=scenario.sensor_range_m,
                disc=settings.disc,
                quiet_s=quiet_s,
            ),
        )

    def _take_rsus(self, frame: RsusPlaced) -> None:
        scenario = self._scenario
        check_place(scenario.network, frame.lat_lon_deg)
        plvns = plvn_ids(scenario, frame.road, len(frame.lat_lon_deg))
        city = scenario.city[:MAX_CITY_LENGTH]
        for plvn, (lat_deg, lon_deg) in zip(plvns, frame.lat_lon_deg, strict=True):
            site = Site(city=city, road=frame.road, lat_deg=lat_deg, lon_deg=lon_deg)
            self._plvns[plvn] = PlvnProfile(plvn, site)
            self._history[plvn] = deque(maxlen=HISTORY_SLOTS)
        log.info("rsus_placed", plvns=list(plvns))
        if frame.separation_m < self._settings.disc.separation_m:
            log.warning(
                "rsus_closer_than_asked",
                asked_m=self._settings.disc.separation_m,
                separation_m=round(frame.separation_m),
            )

    async def _next_slot(self) -> dict[PlvnId, Traffic]:
        frame = await self._process.read()
        assert isinstance(frame, SlotSeen)
        settings = self._settings
        hour = hour_at(settings.start_hour, frame.slot * SLOT_S)
        activity = activity_at(settings.start_hour if settings.constant else hour)
        return {
            plvn: _traffic(frame.slot, hour, activity, disc)
            for plvn, disc in zip(self._plvns, frame.discs, strict=True)
        }


def prepare_inputs(
    scenario: SumoScenario, horizon: Horizon, scratch: Path, *, seed: int
) -> tuple[list[str], int]:
    """Write a scenario's inputs into the scratch folder; what is changed of it is warned of.

    Returns:
        SUMO's command line, to be run in the scratch folder, and the seconds from the begin in
        which nothing departs yet.

    Raises:
        SourceError: if an input cannot be read or made.
    """
    routes = list(scenario.routes)
    if scenario.trips is not None:
        routes.append(
            write_random_trips(scenario.trips, scenario.network, horizon, scratch, seed=seed)
        )
    inputs = write_inputs(
        routes, scenario.additional, horizon, scratch, scenario_end_s=scenario.end_s
    )
    if scenario.lights_wait and write_cycles(scenario.network, scratch / "lights.xml"):
        inputs = replace(inputs, additional=[*inputs.additional, scratch / "lights.xml"])
    step_s = step_length_s(scenario.step_s, inputs.least_tau_s)
    _warn_of_changes(scenario, step_s, inputs.least_tau_s)
    arguments = start_arguments(
        link_network(scenario.network, scratch),
        inputs,
        scenario.options,
        begin_s=scenario.begin_s,
        step_s=step_s,
        seed=seed,
    )
    return arguments, round(inputs.quiet_s)


def _warn_of_changes(scenario: SumoScenario, step_s: float, least_tau_s: float) -> None:
    native_s = SLOT_S if scenario.step_s is None else scenario.step_s
    if step_s != native_s:
        log.warning(
            "step_length_changed",
            scenario=scenario.city,
            given_s=native_s,
            used_s=step_s,
            least_tau_s=least_tau_s,
        )
    if scenario.ignored:
        log.warning(
            "scenario_options_ignored", scenario=scenario.city, options=list(scenario.ignored)
        )
