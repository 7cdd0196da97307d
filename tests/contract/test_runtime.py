"""A runtime on each bus: what it holds survives an absent broker, once; its end is quick.

What a killed broker itself held and had acknowledged is another matter: senders that need more
resend until they are answered.
"""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.brokers import KINDS, BrokerUnderTest, broker_of
from tests.support.names import COOP_PERCEPTION
from tests.support.toy import ToyCore, performance
from twintier.broker.clock import WallClock
from twintier.protocol.address import Address
from twintier.protocol.ids import PlvnId
from twintier.protocol.messages import AgentStatusReported, BaselineOrdered, PerformanceReported
from twintier.runtime.build import build_runtime
from twintier.runtime.core import Input, Received, Started
from twintier.runtime.delivery.ledger import Messages, count_messages, read_ledger
from twintier.runtime.effects import Effect, Publish, Subscribe
from twintier.runtime.jobs import InlineJobs
from twintier.runtime.runtime import Runtime
from twintier.runtime.settings import RuntimeSettings
from twintier.runtime.storage.store import MemoryStore

PATIENCE_S = 40.0
END_S = 1.5
AT = Address(plvn=PlvnId("p1"), inmf=COOP_PERCEPTION)
EDGE = Subscribe((PerformanceReported, AgentStatusReported), Address())
AGENT = Subscribe((BaselineOrdered,), AT)


@pytest.fixture(params=KINDS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BrokerUnderTest]:
    with broker_of(request.param, tmp_path / "broker", autosave_changes=1) as running:
        yield running


def within(main: Coroutine[object, None, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await main

    asyncio.run(bounded())


def runtime(broker: BrokerUnderTest, core: ToyCore, route: Subscribe, path: Path) -> Runtime:
    return build_runtime(
        core,
        broker.client(f"{core.role}-{core.id}"),
        routes=[route],
        clock=WallClock(),
        jobs=InlineJobs(),
        store=MemoryStore(),
        settings=RuntimeSettings(ledger_path=path),
    )


def echo(taken: Input, _now: float) -> Sequence[Effect]:
    """Answer each performance with an order of the same number."""
    if isinstance(taken, Received) and isinstance(taken.message, PerformanceReported):
        version = taken.message.slot_first
        return [Publish(BaselineOrdered(inmf=COOP_PERCEPTION, version=version, reason=""), AT)]
    return []


@dataclass
class Counting(ToyCore):
    """Notes when it has started and how many orders have come."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    orders: list[int] = field(default_factory=list)
    wanted: int = 0

    async def until(self, wanted: int) -> None:
        """Wait for so many orders."""
        self.wanted = wanted
        while len(self.orders) < wanted:
            self.complete.clear()
            await self.complete.wait()

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        if isinstance(event, Started):
            self.started.set()
        if isinstance(event, Received) and isinstance(event.message, BaselineOrdered):
            self.orders.append(event.message.version)
            if len(self.orders) >= self.wanted:
                self.complete.set()
        return self.behaviour(event, now)


def test_what_waits_for_an_absent_broker_arrives_once_and_in_order(
    broker: BrokerUnderTest, tmp_path: Path
) -> None:
    count = 600
    paths = [tmp_path / "edge.json", tmp_path / "agent.json"]

    async def main() -> None:
        edge = Counting("edge", "e1", echo)
        agent = Counting("plvn", "p1")
        runtimes = [
            runtime(broker, edge, EDGE, paths[0]),
            runtime(broker, agent, AGENT, paths[1]),
        ]
        async with asyncio.TaskGroup() as group:
            for each in runtimes:
                group.create_task(each.run())
            await asyncio.gather(edge.started.wait(), agent.started.wait())
            for number in range(count // 2):
                send(agent, runtimes[1], number)
            await agent.until(count // 2)
            broker.kill()
            for number in range(count // 2, count):
                send(agent, runtimes[1], number)
                await asyncio.sleep(0)
            broker.restart()
            await agent.until(count)
            for each in runtimes:
                each.quiesce()
            for each in runtimes:
                await each.stop()
        assert agent.orders == list(range(count))

    within(main())
    counts = count_messages([read_ledger(path) for path in paths])
    assert counts == Messages(
        published=counts.published,
        delivered=counts.delivered,
        redelivered=counts.redelivered,
        refused=0,
        lost=0,
    )
    assert counts.published >= 2 * count


def send(agent: Counting, sender: Runtime, number: int) -> None:
    agent.behaviour = lambda _taken, _now: [Publish(performance(number), AT)]
    sender.observe(None)
    agent.behaviour = lambda _taken, _now: []


@pytest.mark.parametrize("alive", [True, False])
def test_the_end_is_quick_with_the_broker_there_and_away(
    broker: BrokerUnderTest, tmp_path: Path, *, alive: bool
) -> None:
    async def main() -> None:
        agent = Counting("plvn", "p1")
        running = runtime(broker, agent, AGENT, tmp_path / "agent.json")
        async with asyncio.TaskGroup() as group:
            group.create_task(running.run())
            await agent.started.wait()
            if not alive:
                broker.kill()
            send(agent, running, 1)
            start = asyncio.get_running_loop().time()
            await running.stop()
            assert asyncio.get_running_loop().time() - start < END_S
        if not alive:
            broker.restart()

    within(main())
