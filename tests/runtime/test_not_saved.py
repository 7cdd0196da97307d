"""A store that fails for a while costs no upload and doubles none, at either end."""

import asyncio
import math
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.support.autojump import LoopClock, run
from tests.support.names import COOP_PERCEPTION
from tests.support.toy import Behaviour, ToyCore, nothing, performance, status
from twintier.broker.memory import MemoryBus, MemoryHub
from twintier.protocol.address import Address
from twintier.protocol.catalogue import row_of
from twintier.protocol.ids import EdgeId, PlvnId
from twintier.protocol.messages import (
    Cause,
    EdgeStatusReported,
    MessageReturned,
    PerformanceReported,
    RetrainTriggered,
    UploadsAcknowledged,
)
from twintier.protocol.messages.base import Message
from twintier.runtime.build import build_runtime
from twintier.runtime.core import Input, Observed, Received, Started
from twintier.runtime.effects import Defer, Effect, Publish, Record, Save, Subscribe
from twintier.runtime.jobs import InlineJobs
from twintier.runtime.runtime import Runtime
from twintier.runtime.settings import RuntimeSettings
from twintier.runtime.storage.store import MemoryStore
from twintier.runtime.supervisor import StoreFailingError, Supervisor

P1, E1 = PlvnId("p1"), EdgeId("e1")
AT = Address(plvn=P1, inmf=COOP_PERCEPTION)
TWIN = Address(plvn=P1, edge=E1)
CAUSE = Cause(
    trigger="degradation",
    statistic="x",
    value=2.0,
    threshold=1.0,
    reference_n=9,
    sim_time_s=0.0,
)
RETRAINED = RetrainTriggered(inmf=COOP_PERCEPTION, cause=CAUSE, from_model="x")
TTL_S = row_of(PerformanceReported).ttl_s or math.inf
SETTLING = (MessageReturned, UploadsAcknowledged)
AGENT = Subscribe(SETTLING, Address(plvn=P1, branch="plvn/down"))
EDGE = (
    Subscribe((PerformanceReported,), Address()),
    Subscribe(SETTLING, Address(edge=E1, branch="edge/down")),
)
CLOUD = Subscribe((RetrainTriggered,), Address())


@dataclass(frozen=True)
class Word:
    text: str


class Disk(MemoryStore):
    """A store that can be full."""

    full = False

    def save(self, records: Sequence[Record]) -> None:
        if self.full:
            raise OSError("disk full")
        super().save(records)


@dataclass
class Node:
    """A toy core over its lives: each has a new incarnation, and all share what they have taken."""

    hub: MemoryHub
    core: ToyCore
    routes: tuple[Subscribe, ...]
    store: Disk = field(default_factory=Disk)
    lives: list[Runtime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runtime = Supervisor(self.life)

    def life(self) -> Runtime:
        self.lives.append(
            build_runtime(
                self.core,
                MemoryBus(self.hub),
                routes=self.routes,
                clock=LoopClock(),
                jobs=InlineJobs(),
                store=self.store,
                settings=RuntimeSettings(incarnation=f"boot-{len(self.lives):02}"),
            )
        )
        return self.lives[-1]

    @property
    def kept(self) -> int:
        return self.lives[-1].kept

    @property
    def failures(self) -> int:
        return self.runtime.meter.counts["store.failed"]


def node(hub: MemoryHub, core: ToyCore, *routes: Subscribe) -> Node:
    return Node(hub, core, routes)


def agent_on(hub: MemoryHub) -> Node:
    return node(hub, ToyCore("plvn", "p1"), AGENT)


@asynccontextmanager
async def running(*nodes: Node) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        for each in nodes:
            group.create_task(each.runtime.run())
        await asyncio.sleep(0.1)
        yield
        for each in nodes:
            await each.runtime.stop()


def virtual(main: Coroutine[object, None, None]) -> None:
    run(main)


def of(core: ToyCore, kind: type[Message]) -> list[Message]:
    return [
        t.message for t in core.taken if isinstance(t, Received) and isinstance(t.message, kind)
    ]


def say(each: Node, *effects: Effect) -> None:
    each.core.behaviour = lambda taken, _now: effects if isinstance(taken, Observed) else []
    each.runtime.observe(None)
    each.core.behaviour = nothing


def on_performance(*effects: Effect) -> Behaviour:
    def behave(taken: Input, _now: float) -> Sequence[Effect]:
        is_upload = isinstance(taken, Received) and isinstance(taken.message, PerformanceReported)
        return effects if is_upload else []

    return behave


def test_an_upload_whose_effect_is_not_saved_is_kept_by_its_sender_and_comes_again() -> None:
    async def main() -> None:
        hub = MemoryHub()
        agent, edge = agent_on(hub), node(hub, ToyCore("edge", "e1"), *EDGE)
        edge.core.behaviour = on_performance(Save(Word("effect")))
        edge.store.full = True
        async with running(agent, edge):
            say(agent, Publish(performance(0), AT))
            await asyncio.sleep(5)
            failed = edge.failures
            assert failed == len(of(edge.core, PerformanceReported)) >= 2
            assert (agent.kept, of(agent.core, MessageReturned)) == (1, [])
            edge.store.full = False
            await asyncio.sleep(30)
            assert (agent.kept, of(agent.core, MessageReturned)) == (0, [])
        assert edge.store.records == [Word("effect")]
        assert len(of(edge.core, PerformanceReported)) == failed + 1

    virtual(main())


def test_an_upload_that_the_core_defers_stays_with_its_sender_and_comes_again() -> None:
    async def main() -> None:
        hub = MemoryHub()
        agent, edge = agent_on(hub), node(hub, ToyCore("edge", "e1"), *EDGE)
        edge.core.behaviour = on_performance(Defer())
        async with running(agent, edge):
            say(agent, Publish(performance(0), AT))
            await asyncio.sleep(5)
            deferred = edge.runtime.meter.counts["deferred"]
            assert deferred == len(of(edge.core, PerformanceReported)) >= 2
            assert agent.kept == 1
            edge.core.behaviour = nothing
            await asyncio.sleep(30)
            assert agent.kept == 0
        assert of(edge.core, PerformanceReported) == [performance(0)] * (deferred + 1)

    virtual(main())


def test_a_failing_upload_is_returned_only_once_that_is_durable() -> None:
    def failing(taken: Input, _now: float) -> Sequence[Effect]:
        match taken:
            case Received(message=PerformanceReported(slot_first=0)):
                raise ValueError("no slot 0 here")
        return []

    async def main() -> None:
        hub = MemoryHub()
        agent, edge = agent_on(hub), node(hub, ToyCore("edge", "e1", failing), *EDGE)
        edge.store.full = True
        async with running(agent, edge):
            say(agent, Publish(performance(0), AT))
            await asyncio.sleep(5)
            assert (agent.kept, of(agent.core, MessageReturned)) == (1, [])
            edge.store.full = False
            say(agent, Publish(performance(1), AT))
            await asyncio.sleep(30)
            assert agent.kept == 0
        (returned,) = of(agent.core, MessageReturned)
        assert isinstance(returned, MessageReturned)
        assert (returned.seq, returned.code) == (1, "failed")
        assert of(edge.core, PerformanceReported)[-1] == performance(1)

    virtual(main())


def test_an_upload_that_could_not_be_kept_is_never_sent() -> None:
    async def main() -> None:
        hub = MemoryHub()
        agent, edge = agent_on(hub), node(hub, ToyCore("edge", "e1"), *EDGE)
        agent.store.full = True
        async with running(agent, edge):
            say(agent, Publish(performance(0), AT))
            await asyncio.sleep(60)
            assert (agent.kept, of(edge.core, PerformanceReported)) == (0, [])
            agent.store.full = False
            say(agent, Publish(performance(1), AT))
            await asyncio.sleep(60)
            assert agent.kept == 0
        taken = [t for t in edge.core.taken if isinstance(t, Received)]
        sent = [(t.message, t.envelope.boot, t.envelope.seq) for t in taken]
        assert sent == [(performance(1), "boot-01", 1)]
        assert agent.runtime.meter.counts["uploads_again"] == 0

    virtual(main())


def test_what_an_unsaved_upload_causes_is_sent_once_when_it_comes_again() -> None:
    async def main() -> None:
        hub = MemoryHub()
        agent, edge = agent_on(hub), node(hub, ToyCore("edge", "e1"), *EDGE)
        cloud = node(hub, ToyCore("cloud", "cloud"), CLOUD)
        edge.core.behaviour = on_performance(Publish(RETRAINED, TWIN))
        edge.store.full = True
        async with running(agent, edge, cloud):
            say(agent, Publish(performance(0), AT))
            await asyncio.sleep(5)
            edge.store.full = False
            await asyncio.sleep(60)
            assert (agent.kept, edge.kept) == (0, 0)
        assert of(cloud.core, RetrainTriggered) == [RETRAINED]
        assert len(of(edge.core, PerformanceReported)) >= 2

    virtual(main())


def test_an_upload_that_expires_while_the_store_fails_ends_nothing_but_itself() -> None:
    async def main() -> None:
        hub = MemoryHub()
        agent = agent_on(hub)
        async with running(agent):
            say(agent, Publish(performance(0), AT))
            await asyncio.sleep(TTL_S - 5)
            agent.store.full = True
            await asyncio.sleep(10)
            assert agent.failures >= 2
            agent.store.full = False
            await asyncio.sleep(30)
            assert agent.kept == 0
            say(agent, Publish(performance(1), AT))
            assert agent.kept == 1

    virtual(main())


def test_a_store_that_fails_ten_times_in_a_row_ends_the_process() -> None:
    """Pauses of .1, .2, .4, ... 6.4 and then 10 s lie between ten lives that save nothing."""

    def on_start(taken: Input, _now: float) -> Sequence[Effect]:
        return [Save(Word("begun"))] if isinstance(taken, Started) else []

    async def main() -> None:
        edge = node(MemoryHub(), ToyCore("edge", "e1", on_start))
        edge.store.full = True
        began = asyncio.get_running_loop().time()
        with pytest.raises(StoreFailingError, match=r"10 times in a row.*OSError: disk full"):
            await edge.runtime.run()
        assert len(edge.lives) == 10
        assert asyncio.get_running_loop().time() - began == pytest.approx(12.7 + 2 * 10.0)

    virtual(main())


def test_failures_in_a_row_are_counted_anew_once_something_is_saved() -> None:
    """Every second save fails, for longer than ten failures in a row may take."""

    class Flaky(Disk):
        def save(self, records: Sequence[Record]) -> None:
            self.full = not self.full
            super().save(records)

    async def main() -> None:
        hub = MemoryHub()
        agent, edge = agent_on(hub), node(hub, ToyCore("edge", "e1"), *EDGE)
        edge.store = Flaky()
        edge.core.behaviour = on_performance(Save(Word("effect")))
        edge.runtime = Supervisor(edge.life)
        async with running(agent, edge):
            for number in range(30):
                say(agent, Publish(performance(number), AT))
                await asyncio.sleep(10)
            assert agent.kept == 0
            assert edge.failures > 10
        assert edge.store.records == [Word("effect")] * 30

    virtual(main())


def test_others_hear_that_nobody_is_there_until_the_next_life_begins() -> None:
    async def main() -> None:
        hub = MemoryHub()
        cloud = node(hub, ToyCore("cloud", "cloud"), Subscribe((EdgeStatusReported,), Address()))
        online = Publish(status("edge", "online"), Address(edge=E1))

        def behave(taken: Input, _now: float) -> Sequence[Effect]:
            return [Save(Word("x")), online] if isinstance(taken, Started | Observed) else []

        edge = node(hub, ToyCore("edge", "e1", behave))
        async with running(cloud, edge):
            edge.store.full = True
            edge.runtime.observe(None)
            await asyncio.sleep(0.05)
            assert edge.runtime.observe(None) == []
            edge.store.full = False
            await asyncio.sleep(0.2)
            heard = [m.state for m in of(cloud.core, EdgeStatusReported)]  # type: ignore[attr-defined]
            assert heard == ["online", "offline", "online"]
            assert edge.runtime.meter.counts == {
                "store.failed": 1,
                "store.rebuilt": 1,
                "observations_unseen": 1,
            }

    virtual(main())


def test_who_is_stopped_between_two_lives_ends_at_once() -> None:
    async def main() -> None:
        edge = node(MemoryHub(), ToyCore("edge", "e1"))
        edge.store.full = True
        async with running(edge):
            say(edge, Save(Word("x")))
            await asyncio.sleep(0.05)
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() == began

    virtual(main())
