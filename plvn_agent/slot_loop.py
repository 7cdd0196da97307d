"""Drives a source slot by slot and its agents with it, at a stated speed.

If slots take longer than they should, the simulated clock slows down; no slot is skipped. Slots
that are too short for this are a bulk source's to drive: the agent lends it the policy for as many
as there are in one slot of the source, so that none of them needs a turn of the event loop.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from twintier.inmf.contract import Inmf, World
from twintier.inmf.traffic import Traffic
from twintier.plvn_agent.plant import Plant
from twintier.plvn_agent.policy import SlotPolicy
from twintier.plvn_agent.slots import (
    BulkDriven,
    BulkWanted,
    History,
    InmfFailed,
    InmfSlot,
    SlotActed,
    SlotMeasured,
)
from twintier.plvn_agent.source import BulkSource, Source, SourceError, failure_of
from twintier.protocol.ids import InmfId, PlvnId
from twintier.runtime.effects import Actuate, Answer, Delegate


class Observer(Protocol):
    """The way into an agent: what its source saw goes in, what it wants done comes out."""

    def observe(self, observation: object) -> list[Answer]:
        """Give the agent an observation."""
        ...


@dataclass(frozen=True, slots=True)
class HostSettings:
    """How fast and when."""

    speed: float = 1.0
    """Simulated seconds a second that are asked for."""
    strength: float = 0.0
    """Of effects in simulated worlds that emulators do not know."""
    ready_poll_s: float = 0.05
    ready_limit_s: float = 300.0
    """After this long the slots begin even if nobody has said that planning is over."""


class Host:
    """One source and the agents of its PLVNs."""

    def __init__(
        self,
        source: Source,
        agents: Mapping[PlvnId, Observer],
        inmfs: Mapping[InmfId, Inmf],
        settings: HostSettings,
        *,
        is_ready: Callable[[], bool],
    ) -> None:
        """Put source and agents together.

        Args:
            source: started already.
            agents: of each of its PLVNs.
            inmfs: that they manage.
            settings: how fast.
            is_ready: whether online operation may begin.

        Raises:
            SourceError: if slots of an INMF do not fit the source's.
        """
        self._source = source
        self._agents = agents
        self._settings = settings
        self._is_ready = is_ready
        bulk = source.bulk if isinstance(source, BulkSource) else ()
        self._bulk = {name: _bulk_slots(inmfs[name], source) for name in bulk if name in inmfs}
        carried = {name: inmf for name, inmf in inmfs.items() if name not in self._bulk}
        self._plants = {
            profile.plvn: Plant(profile, source, carried, strength=settings.strength)
            for profile in source.plvns
        }
        self.slots = 0
        """Slots of the source driven so far."""

    def world(self, plvn: PlvnId, inmf: InmfId) -> World | None:
        """The simulated world of an INMF in a PLVN, for those who watch; None if it has none."""
        return self._plants[plvn].world(inmf)

    def begin(self, plvn: PlvnId) -> None:
        """Give an agent that has just begun the history of its PLVN."""
        past = [self._measure(plvn, traffic) for traffic in self._source.history(plvn)]
        self._agents[plvn].observe(History(tuple(past)))

    async def run(self) -> None:
        """Upload the history, wait for the start of online operation, then drive slots.

        Raises:
            SourceError: if the source dies.
        """
        for plvn in self._agents:
            self.begin(plvn)
        await self._wait_ready()
        loop = asyncio.get_running_loop()
        interval_s = self._source.slot_s / self._settings.speed
        due = loop.time()
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            for plvn, traffic in (await self._observe()).items():
                self._drive(plvn, traffic)
                for inmf, slots in self._bulk.items():
                    await self._advance(plvn, inmf, slots, traffic)
            self.slots += 1
            due = max(due + interval_s, loop.time() - interval_s)

    async def _observe(self) -> Mapping[PlvnId, Traffic]:
        try:
            return await self._source.observe()
        except SourceError:
            raise
        except Exception as error:  # whatever a package raises is its source's fault
            name = f"source {self._source.clock_id!r}"
            raise SourceError(failure_of(name, "observe", error)) from error

    def _measure(self, plvn: PlvnId, traffic: Traffic) -> SlotMeasured:
        seen, failed = self._plants[plvn].measure(traffic)
        for failure in failed:
            self._agents[plvn].observe(failure)
        return seen

    def _drive(self, plvn: PlvnId, traffic: Traffic) -> None:
        agent, seen = self._agents[plvn], self._measure(plvn, traffic)
        outcomes: dict[InmfId, InmfSlot] = {}
        for answer in agent.observe(seen):
            if isinstance(answer, Actuate):
                came = self._plants[plvn].act(seen, answer)
                if isinstance(came, InmfFailed):
                    agent.observe(came)
                else:
                    outcomes[answer.inmf] = came
        if outcomes:
            agent.observe(SlotActed(outcomes))

    async def _advance(self, plvn: PlvnId, inmf: InmfId, slots: int, traffic: Traffic) -> None:
        """Let the source drive so many slots of an INMF, by the agent's policy."""
        source, agent = self._source, self._agents[plvn]
        assert isinstance(source, BulkSource)
        for answer in agent.observe(BulkWanted(inmf)):
            if not isinstance(answer, Delegate) or not isinstance(answer.policy, SlotPolicy):
                continue
            try:
                driven = await source.advance(plvn, inmf, answer.policy, slots)
            except SourceError:
                raise
            except Exception as error:  # noqa: BLE001  # an INMF's code: costs that INMF only
                agent.observe(InmfFailed(inmf, f"{type(error).__name__}: {error}"))
            else:
                agent.observe(BulkDriven(inmf, traffic, driven))

    async def _wait_ready(self) -> None:
        loop = asyncio.get_running_loop()
        limit = loop.time() + self._settings.ready_limit_s
        while not self._is_ready() and loop.time() < limit:  # noqa: ASYNC110  # states of cores
            await asyncio.sleep(self._settings.ready_poll_s)


def _bulk_slots(inmf: Inmf, source: Source) -> int:
    """Slots of an INMF in one of the source.

    Raises:
        SourceError: if there is not a whole number of them.
    """
    ratio = source.slot_s / inmf.spec.slot_s
    if round(ratio) < 1 or abs(ratio - round(ratio)) > 1e-6:
        raise SourceError(
            f"{source.slot_s} s, a slot of {source.clock_id}, is no multiple of the "
            f"{inmf.spec.slot_s} s of {inmf.spec.inmf}; use slots that fit"
        )
    return round(ratio)
