"""PLVNs on real roads: SUMO in a child process, RSU discs, and rewards under hidden conditions.

Traffic is SUMO's; which human-driven vehicles use the radio, what is hidden, and what modes are
worth are drawn here. The child runs ahead as far as its pipe has room, so reading a slot seldom
waits. Its death shows as `SourceError` in the slot that is missing.
"""

import asyncio
import os
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import structlog

from twintier.inmf.perception.emulator import HDV_HZ, HDVS, RADIO_HZ
from twintier.inmf.perception.live import COOP_PERCEPTION
from twintier.inmf.trajectory import Mask
from twintier.plvn_agent.source import PlvnProfile, SlotMeasured, SlotObserved, SourceError
from twintier.plvn_agent.sources.conditions import (
    ConditionEvent,
    ConditionSchedule,
    generator_of,
    start_condition,
)
from twintier.plvn_agent.sources.daytime import activity_at, hour_at
from twintier.plvn_agent.sources.measuring import HiddenReward
from twintier.plvn_agent.sources.sumo.child import ChildSettings
from twintier.plvn_agent.sources.sumo.clusters import DiscSettings
from twintier.plvn_agent.sources.sumo.crossing import CrossingSettings
from twintier.plvn_agent.sources.sumo.demand import Horizon, write_inputs, write_random_trips
from twintier.plvn_agent.sources.sumo.frames import DiscSeen, RsusPlaced, SlotSeen
from twintier.plvn_agent.sources.sumo.lights import write_cycles
from twintier.plvn_agent.sources.sumo.process import SumoProcess
from twintier.plvn_agent.sources.sumo.scenario import SumoScenario, check_scenario
from twintier.plvn_agent.sources.sumo.traffic import start_arguments
from twintier.protocol.ids import PlvnId
from twintier.protocol.messages import Site, VehicleState

log = structlog.get_logger()
HISTORY_SLOTS = 300
MAX_DEPLOYMENT_LENGTH = 56


@dataclass(frozen=True, slots=True)
class SumoSettings:
    """How a scenario is run; the defaults are assumed where the design names none."""

    seed: int = 1
    rsus: int = 4
    start_hour: float = 8.0
    """Civil hour of the first simulated second."""
    warmup_s: int = 600
    """RSUs are placed after its first half; its last 300 slots are history."""
    constant: bool = False
    """Demand keeps a constant rate, hidden conditions stay."""
    cav_share: float = 0.3
    duration_sim_s: float = 36_000.0
    """Demand lasts at least this long after the warm-up."""
    disc: DiscSettings = field(default_factory=DiscSettings)
    start_timeout_s: float = 180.0
    slot_timeout_s: float = 60.0
    stop_timeout_s: float = 1.0


def deployment_of(city: str, road: str) -> str:
    """City and road as the beginning of PLVN ids: no character that a topic may not hold."""
    name = re.sub(r"[^a-z0-9]+", "-", f"{city}-{road}".lower()).strip("-")
    return name[:MAX_DEPLOYMENT_LENGTH].rstrip("-") or "sumo"


class _Plvn:
    """One RSU disc: what is drawn and measured outside the traffic."""

    def __init__(self, profile: PlvnProfile, settings: SumoSettings) -> None:
        plvn = profile.plvn
        self.profile = profile
        self.schedule = ConditionSchedule(
            settings.seed,
            plvn,
            start_condition(settings.seed, plvn),
            constant=settings.constant,
            online_from_s=settings.warmup_s,
        )
        self.reward = HiddenReward(self.schedule, generator_of(settings.seed, plvn, "noise"))
        self.history: deque[SlotObserved] = deque(maxlen=HISTORY_SLOTS)
        self.observed: SlotObserved | None = None
        self._radio = generator_of(settings.seed, plvn, "radio")

    def see(self, slot: int, hour: float, activity: float, seen: DiscSeen) -> SlotObserved:
        """Put what the traffic shows and what the radio leaves together."""
        active = self._radio.binomial(min(HDVS, seen.human_driven), activity)
        rows = [(0, 0.0) if pair is None else pair for pair in seen.pairs]
        self.observed = SlotObserved(
            slot=slot,
            sim_time_s=slot * COOP_PERCEPTION.slot_s,
            hour=hour,
            bandwidth_hz=max(0.0, RADIO_HZ - HDV_HZ * active),
            objects=np.array([row[0] for row in rows], dtype=np.float64),
            distance_m=np.array([row[1] for row in rows], dtype=np.float64),
            present=np.array([pair is not None for pair in seen.pairs], dtype=bool),
            vehicle_number=seen.members,
            mean_speed_share=seen.speed_share,
            vehicles=tuple(
                VehicleState(vehicle=name, lat_deg=lat, lon_deg=lon, speed_mps=speed)
                for name, lat, lon, speed in seen.vehicles
            ),
        )
        return self.observed


class SumoSource:
    """The PLVNs of one SUMO scenario."""

    def __init__(self, scenario: SumoScenario, settings: SumoSettings) -> None:
        """Take a scenario; nothing starts before `start`."""
        self._scenario = scenario
        self._settings = settings
        self._process = SumoProcess(scenario.city, stop_timeout_s=settings.stop_timeout_s)
        self._plvns: dict[PlvnId, _Plvn] = {}

    @property
    def clock_id(self) -> str:
        """Names the simulated clock in envelopes."""
        name = deployment_of(self._scenario.city, "sumo")
        return f"{name[:40]}-{self._settings.seed}"

    @property
    def plvns(self) -> Sequence[PlvnProfile]:
        """The PLVNs; none before `start`."""
        return [plvn.profile for plvn in self._plvns.values()]

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

    def history(self, plvn: PlvnId) -> Sequence[SlotObserved]:
        """The last slots of the warm-up, at most 300."""
        return tuple(self._plvns[plvn].history)

    async def observe(self) -> Mapping[PlvnId, SlotObserved]:
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

    def measure(self, plvn: PlvnId, modes: Mask) -> SlotMeasured:
        """Carry out modes, (pairs,), in the present slot; once per PLVN and slot."""
        member = self._plvns[plvn]
        assert member.observed is not None, "observe a slot before measuring it"
        return member.reward.measure(member.observed, modes)

    def events_until(self, plvn: PlvnId, sim_time_s: float) -> Sequence[ConditionEvent]:
        """The events that a PLVN has seen."""
        return self._plvns[plvn].schedule.events_until(sim_time_s)

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
        while slot < self._settings.warmup_s - 1:
            for plvn, observed in (await self._next_slot()).items():
                self._plvns[plvn].history.append(observed)
                slot = observed.slot

    def _prepare(self, scratch: Path) -> ChildSettings:
        scenario, settings = self._scenario, self._settings
        horizon = Horizon(
            begin_s=scenario.begin_s,
            end_s=scenario.begin_s + settings.warmup_s + settings.duration_sim_s,
            constant=settings.constant,
        )
        return ChildSettings(
            arguments=prepare_inputs(scenario, horizon, scratch, seed=settings.seed),
            seed=settings.seed,
            automated_share=settings.cav_share,
            parent=os.getpid(),
            crossing=CrossingSettings(
                rsus=settings.rsus,
                warmup_s=settings.warmup_s,
                road=scenario.road,
                sensor_range_m=scenario.sensor_range_m,
                disc=settings.disc,
            ),
        )

    def _take_rsus(self, frame: RsusPlaced) -> None:
        city = self._scenario.city[:64]
        deployment = deployment_of(city, frame.road)
        for number, (lat_deg, lon_deg) in enumerate(frame.lat_lon_deg, start=1):
            site = Site(city=city, road=frame.road, lat_deg=lat_deg, lon_deg=lon_deg)
            profile = PlvnProfile(PlvnId(f"{deployment}-rsu{number}"), site)
            self._plvns[profile.plvn] = _Plvn(profile, self._settings)
        log.info("rsus_placed", deployment=deployment, rsus=len(self._plvns))
        if frame.separation_m < self._settings.disc.separation_m:
            log.warning(
                "rsus_closer_than_asked",
                asked_m=self._settings.disc.separation_m,
                separation_m=round(frame.separation_m),
            )

    async def _next_slot(self) -> dict[PlvnId, SlotObserved]:
        frame = await self._process.read()
        assert isinstance(frame, SlotSeen)
        settings = self._settings
        hour = hour_at(settings.start_hour, frame.slot * COOP_PERCEPTION.slot_s)
        activity = activity_at(settings.start_hour if settings.constant else hour)
        return {
            name: plvn.see(frame.slot, hour, activity, disc)
            for (name, plvn), disc in zip(self._plvns.items(), frame.discs, strict=True)
        }


def prepare_inputs(
    scenario: SumoScenario, horizon: Horizon, scratch: Path, *, seed: int
) -> list[str]:
    """Write a scenario's inputs into the scratch folder.

    Returns:
        SUMO's command line.

    Raises:
        SourceError: if an input cannot be read or made.
    """
    routes = list(scenario.routes)
    if scenario.trips is not None:
        routes.append(
            write_random_trips(scenario.trips, scenario.network, horizon, scratch, seed=seed)
        )
    routes, additional = write_inputs(routes, scenario.additional, horizon, scratch)
    if scenario.lights_wait and write_cycles(scenario.network, scratch / "lights.xml"):
        additional.append(scratch / "lights.xml")
    return start_arguments(
        scenario.network,
        routes,
        additional,
        scenario.options,
        begin_s=scenario.begin_s,
        seed=seed,
    )
