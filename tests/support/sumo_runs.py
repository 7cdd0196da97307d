"""A source of SUMO that runs, and slots of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from twintier.inmf.traffic import Traffic
from twintier.plvn_agent.sources.sumo.scenario import SumoScenario
from twintier.plvn_agent.sources.sumo.source import SumoSettings, SumoSource


@asynccontextmanager
async def running(scenario: SumoScenario, settings: SumoSettings) -> AsyncIterator[SumoSource]:
    """A started source, stopped at the end."""
    source = SumoSource(scenario, settings)
    try:
        await source.start()
        yield source
    finally:
        await source.stop()


async def slots(source: SumoSource, count: int) -> list[Traffic]:
    """What all PLVNs see in so many slots, slot by slot."""
    return [seen for _ in range(count) for seen in (await source.observe()).values()]
