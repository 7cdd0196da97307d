"""Drives a source slot by slot and its agents with it, at a stated speed.

If slots take longer than they should, the simulated clock slows down; no slot is skipped.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from twintier.plvn_agent.core import History
from twintier.plvn_agent.source import SlotObserved, Source
from twintier.protocol.ids import PlvnId
from twintier.runtime.effects import Actuate


class Observer(Protocol):
    """The way into an agent: what its source saw goes in, what it wants done comes out."""

    def observe(self, observation: object) -> list[Actuate]:
        """Give the agent an observation."""
        ...


@dataclass(frozen=True, slots=True)
class HostSettings:
    """How fast and when."""

    speed: float = 1.0
    """Simulated seconds a second that are asked for."""
    slot_s: float = 1.0
    ready_poll_s: float = 0.05
    ready_limit_s: float = 300.0
    """After this long the slots begin even if nobody has said that planning is over."""


class Host:
    """One source and the agents of its PLVNs."""

    def __init__(
        self,
        source: Source,
        agents: Mapping[PlvnId, Observer],
        settings: HostSettings,
        *,
        is_ready: Callable[[], bool],
    ) -> None:
        """Put source and agents together.

        Args:
            source: started already.
            agents: of each of its PLVNs.
            settings: how fast.
            is_ready: whether online operation may begin.
        """
        self._source = source
        self._agents = agents
        self._settings = settings
        self._is_ready = is_ready
        self.slots = 0
        """Slots driven so far."""

    async def run(self) -> None:
        """Upload the history, wait for the start of online operation, then drive slots.

        Raises:
            SourceError: if the source dies.
        """
        for plvn, agent in self._agents.items():
            agent.observe(History(tuple(self._source.history(plvn))))
        await self._wait_ready()
        loop = asyncio.get_running_loop()
        interval_s = self._settings.slot_s / self._settings.speed
        due = loop.time()
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            for plvn, slot in (await self._source.observe()).items():
                self._drive(plvn, slot)
            self.slots += 1
            due = max(due + interval_s, loop.time() - interval_s)

    def _drive(self, plvn: PlvnId, slot: SlotObserved) -> None:
        agent = self._agents[plvn]
        modes = np.zeros(slot.present.shape, bool)
        for actuate in agent.observe(slot):
            modes = np.asarray(actuate.modes, bool)
        agent.observe(self._source.measure(plvn, modes))

    async def _wait_ready(self) -> None:
        loop = asyncio.get_running_loop()
        limit = loop.time() + self._settings.ready_limit_s
        while not self._is_ready() and loop.time() < limit:  # noqa: ASYNC110  # states of cores
            await asyncio.sleep(self._settings.ready_poll_s)
