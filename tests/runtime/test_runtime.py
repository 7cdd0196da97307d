import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.autojump import LoopClock, run
from tests.support.names import COOP_PERCEPTION
from tests.support.toy import (
    MODEL_REQUESTED,
    Behaviour,
    ToyCore,
    applied,
    nothing,
    performance,
    status,
)
from tests.support.wire import sample
from twintier.broker.memory import MemoryBus, MemoryHub
from twintier.protocol.address import Address
from twintier.protocol.codec import decode
from twintier.protocol.ids import PlvnId
from twintier.protocol.messages import (
    AgentStatusReported,
    HealthReported,
    LibraryIndexed,
    MessageRefused,
    ModelApplied,
    ModelRequested,
    PerformanceReported,
)
from twintier.protocol.messages.base import Message
from twintier.runtime.build import build_runtime
from twintier.runtime.core import Input, JobDone, JobFailed, Observed, Received, Started, TimerFired
from twintier.runtime.delivery.ledger import count_messages, read_ledger
from twintier.runtime.effects import (
    Actuate,
    CancelTimer,
    Count,
    Effect,
    Publish,
    Save,
    StartJob,
    StartTimer,
    Subscribe,
    Unsubscribe,
)
from twintier.runtime.jobs import InlineJobs
from twintier.runtime.runtime import Runtime
from twintier.runtime.settings import RuntimeSettings
from twintier.runtime.storage.store import MemoryStore, StoreError

ACTUATE = Actuate(COOP_PERCEPTION, (1.0, 0.0))
AT = Address(plvn=PlvnId("p1"), inmf=COOP_PERCEPTION)
EDGE_ROUTES = (
    Subscribe((PerformanceReported, ModelApplied, ModelRequested, AgentStatusReported), Address()),
)


@dataclass
class Node:
    core: ToyCore
    runtime: Runtime
    bus: MemoryBus
    store: MemoryStore


def node(hub: MemoryHub, core: ToyCore, *routes: Subscribe, path: Path | None = None) -> Node:
    bus, store = MemoryBus(hub), MemoryStore()
    runtime = build_runtime(
        core,
        bus,
        routes=routes,
        clock=LoopClock(),
        jobs=InlineJobs(),
        store=store,
        settings=RuntimeSettings(incarnation=f"boot-{core.id}", clock_id="sim", ledger_path=path),
    )
    return Node(core, runtime, bus, store)


@asynccontextmanager
async def running(*nodes: Node) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        for each in nodes:
            group.create_task(each.runtime.run())
        await asyncio.sleep(0.01)
        yield
        for each in nodes:
            each.runtime.quiesce()
        for each in nodes:
            await each.runtime.stop()


def received(core: ToyCore) -> list[Message]:
    return [taken.message for taken in core.taken if isinstance(taken, Received)]


def on_start(*effects: Effect) -> Behaviour:
    def behave(taken: Input, _now: float) -> Sequence[Effect]:
        return effects if isinstance(taken, Started) else []

    return behave


def library_indexed(version: int) -> Message:
    return sample(LibraryIndexed).model_copy(update={"version": version})


def virtual(main: Coroutine[object, None, None]) -> None:
    run(main)


def test_a_published_message_reaches_the_core_that_listens() -> None:
    async def main() -> None:
        hub = MemoryHub()
        edge = node(hub, ToyCore("edge", "e1"), *EDGE_ROUTES)
        effect = Publish(performance(0), AT, sim_time_s=12.5)
        agent = node(hub, ToyCore("plvn", "p1", on_start(effect)))
        async with running(edge, agent):
            taken = edge.core.taken[-1]
        assert isinstance(taken, Received)
        assert taken.message == performance(0)
        assert taken.address == AT
        assert taken.envelope.src == "plvn:p1"
        assert taken.envelope.seq == 1
        assert taken.envelope.sim_ts_ns == 12_500_000_000
        assert taken.envelope.clock_id == "sim"
        assert taken.envelope.ttl_ms == 300_000

    virtual(main())


def test_goodbye_is_published_when_stopped_and_a_will_when_the_link_breaks() -> None:
    async def main() -> None:
        hub = MemoryHub()
        edge = node(hub, ToyCore("edge", "e1"), *EDGE_ROUTES)
        agent = node(hub, ToyCore("plvn", "p1"))
        other = node(hub, ToyCore("plvn", "p2"))
        async with running(edge, agent, other):
            agent.bus.break_link()
            await asyncio.sleep(0.01)
            broken = [
                (r.envelope.src, r.message) for r in edge.core.taken if isinstance(r, Received)
            ]
            assert broken == [("plvn:p1", status("plvn", "offline"))]
            await other.runtime.stop()
            await asyncio.sleep(0.01)
            assert received(edge.core)[1:] == [status("plvn", "offline")]

    virtual(main())


def test_a_status_is_published_again_when_a_broken_link_has_sent_the_will() -> None:
    async def main() -> None:
        hub = MemoryHub()
        edge = node(hub, ToyCore("edge", "e1"), *EDGE_ROUTES)
        online = status("plvn", "online")
        agent = node(hub, ToyCore("plvn", "p1", on_start(Publish(online))))
        async with running(edge, agent):
            agent.bus.break_link()
            agent.bus.mend_link()
            await asyncio.sleep(0.01)
            assert received(edge.core) == [online, status("plvn", "offline"), online]
            assert agent.core.taken == [Started()]

    virtual(main())


def test_a_failing_input_is_reported_and_the_next_one_is_taken() -> None:
    def fail_on_performance(taken: Input, _now: float) -> Sequence[Effect]:
        if isinstance(taken, Received) and isinstance(taken.message, PerformanceReported):
            raise ZeroDivisionError("reward over no slots")
        return []

    async def main() -> None:
        hub = MemoryHub()
        edge = node(hub, ToyCore("edge", "e1", fail_on_performance), *EDGE_ROUTES)
        effects = (Publish(performance(0), AT), Publish(MODEL_REQUESTED, AT))
        agent = node(hub, ToyCore("plvn", "p1", on_start(*effects)))
        async with running(edge, agent), MemoryBus(hub) as watcher:
            await watcher.subscribe(["twintier/v1/mon/dead"])
            agent.core.behaviour = nothing
            await hub_publish_again(agent)
            report = await first(watcher)
        assert received(edge.core)[:2] == [performance(0), MODEL_REQUESTED]
        assert report == MessageRefused(
            role="edge",
            topic="twintier/v1/plvn/p1/up/perf/coop-perception",
            code="failed",
            reason="PerformanceReported: ZeroDivisionError: reward over no slots",
            size=report.size,
        )
        assert edge.runtime.meter.counts == {"refused.failed": 2}

    async def hub_publish_again(agent: Node) -> None:
        agent.core.behaviour = lambda _taken, _now: [Publish(performance(0), AT)]
        agent.runtime.observe(None)

    virtual(main())


async def first(bus: MemoryBus) -> MessageRefused:
    async for delivery in bus.deliveries():
        message = decode(delivery.payload, delivery.topic).message
        assert isinstance(message, MessageRefused)
        return message
    raise AssertionError


def test_garbage_is_refused_and_counted_by_code() -> None:
    async def main() -> None:
        hub = MemoryHub()
        edge = node(hub, ToyCore("edge", "e1"), *EDGE_ROUTES)
        async with running(edge), MemoryBus(hub) as attacker:
            topic = "twintier/v1/plvn/p1/up/perf/coop-perception"
            for payload in (b"", b"\x80", b"\xc1", b"\x81\xa4type\xa6nope.v1"):
                await attacker.publish(topic, payload, qos=1)
            await asyncio.sleep(1.5)
        assert edge.core.taken == [Started()]
        assert edge.runtime.meter.refused == 4
        assert edge.runtime.meter.counts == {"refused.malformed": 4}

    virtual(main())


def test_a_flood_of_garbage_is_reported_at_a_bounded_rate() -> None:
    async def main() -> None:
        hub = MemoryHub()
        edge = node(hub, ToyCore("edge", "e1"), *EDGE_ROUTES)
        async with running(edge), MemoryBus(hub) as attacker:
            for _ in range(500):
                await attacker.publish("twintier/v1/plvn/p1/up/model/get", b"?", qos=1)
            await asyncio.sleep(0.5)
            assert edge.runtime.meter.refused == 500
            assert edge.runtime.meter.messages.published == 20

    virtual(main())


def test_a_repeated_delivery_reaches_the_core_once() -> None:
    async def main() -> None:
        hub = MemoryHub()
        edge = node(hub, ToyCore("edge", "e1"), *EDGE_ROUTES)
        agent = node(hub, ToyCore("plvn", "p1", on_start(Publish(performance(0), AT))))
        async with running(edge, agent), MemoryBus(hub) as copier:
            await copier.subscribe(["twintier/v1/plvn/+/up/perf/+"])
            agent.core.behaviour = lambda _taken, _now: [Publish(performance(1), AT)]
            agent.runtime.observe(None)
            delivery = await anext(copier.deliveries())
            for _ in range(3):
                await copier.publish(delivery.topic, delivery.payload, qos=1)
            await asyncio.sleep(0.01)
        assert received(edge.core)[:2] == [performance(0), performance(1)]
        assert edge.runtime.meter.messages.redelivered == 3

    virtual(main())


def test_an_unacknowledged_message_comes_again_after_a_broken_link_and_counts_once() -> None:
    async def main() -> None:
        hub = MemoryHub()
        edge = node(hub, ToyCore("edge", "e1"), *EDGE_ROUTES)
        agent = node(hub, ToyCore("plvn", "p1", lambda _t, _n: [Publish(performance(7), AT)]))
        async with running(edge):
            edge.bus.break_link(send_will=False)
            async with running(agent):
                await asyncio.sleep(0.01)
            assert received(edge.core) == []
            edge.bus.mend_link()
            await asyncio.sleep(0.01)
            assert received(edge.core)[0] == performance(7)
            assert edge.bus.unacknowledged == {}

    virtual(main())


def test_an_expired_message_is_left_out_and_a_skewed_clock_kills_nothing() -> None:
    async def main() -> None:
        hub = MemoryHub()
        edge = node(hub, ToyCore("edge", "e1"), *EDGE_ROUTES)
        bus, store = MemoryBus(hub), MemoryStore()
        core = ToyCore("plvn", "p1", lambda _t, _n: [Publish(MODEL_REQUESTED, AT, ttl_s=2.0)])
        late = build_runtime(
            core,
            bus,
            routes=(),
            clock=LoopClock(epoch_s=1.0),  # decades behind the edge server's
            jobs=InlineJobs(),
            store=store,
            settings=RuntimeSettings(),
        )
        async with running(edge), running(Node(core, late, bus, store)):
            assert received(edge.core) == [MODEL_REQUESTED]
            hub.publish = hold = Held(hub)  # type: ignore[method-assign, assignment]
            late.observe(None)
            await asyncio.sleep(3)
            del hub.publish
            hold.release()
            await asyncio.sleep(0.1)
            assert received(edge.core) == [MODEL_REQUESTED]
            late.observe(None)
            await asyncio.sleep(0.1)
            assert received(edge.core) == [MODEL_REQUESTED] * 2

    virtual(main())


class Held:
    """Stands in for a hub's publish and keeps what is published."""

    def __init__(self, hub: MemoryHub) -> None:
        self._hub = hub
        self._held: list[tuple[str, bytes]] = []

    def __call__(
        self, topic: str, payload: bytes, _qos: int, *, retain: bool, expiry: float
    ) -> None:
        assert expiry > 0
        if not retain:
            self._held.append((topic, payload))

    def release(self) -> None:
        for topic, payload in self._held:
            self._hub.publish(topic, payload, 1, retain=False, expiry=float("inf"))


def test_timers_fire_once_replace_each_other_and_can_be_cancelled() -> None:
    async def main() -> None:
        effects = (
            StartTimer("a", 5.0),
            StartTimer("a", 1.0),
            StartTimer("b", 2.0),
            CancelTimer("b"),
            CancelTimer("unknown"),
        )
        cloud = node(MemoryHub(), ToyCore("cloud", "cloud", on_start(*effects)))
        async with running(cloud):
            await asyncio.sleep(0.5)
            assert cloud.core.taken == [Started()]
            await asyncio.sleep(60)
        assert cloud.core.taken == [Started(), TimerFired("a")]

    virtual(main())


@dataclass(frozen=True)
class Divide:
    divisor: int

    def run(self) -> object:
        return 12 // self.divisor


def test_job_results_and_failures_come_back_as_inputs() -> None:
    async def main() -> None:
        effects = (StartJob("good", Divide(4)), StartJob("bad", Divide(0)))
        cloud = node(MemoryHub(), ToyCore("cloud", "cloud", on_start(*effects)))
        async with running(cloud):
            pass
        reason = "ZeroDivisionError: integer division or modulo by zero"
        assert cloud.core.taken == [Started(), JobDone("good", 3), JobFailed("bad", reason)]

    virtual(main())


def test_records_are_saved_before_anything_is_published() -> None:
    async def main() -> None:
        hub = MemoryHub()
        effects = (Publish(MODEL_REQUESTED, AT), Save(Word("one")), Save(Word("two")))
        agent = node(hub, ToyCore("plvn", "p1"))
        edge = node(hub, ToyCore("edge", "e1"), *EDGE_ROUTES)
        async with running(edge, agent):
            agent.core.behaviour = lambda _taken, _now: effects
            agent.runtime.observe(None)
            await asyncio.sleep(0.01)
            assert received(edge.core) == [MODEL_REQUESTED]
            assert agent.store.records == [Word("one"), Word("two")]

    virtual(main())


@dataclass(frozen=True)
class Word:
    text: str


def test_an_observation_is_answered_at_once_while_the_bus_is_away() -> None:
    def act(taken: Input, _now: float) -> Sequence[Effect]:
        if isinstance(taken, Observed):
            return [
                Publish(performance(1), AT),
                ACTUATE,
                Count("slots", 2),
            ]
        return []

    async def main() -> None:
        hub = MemoryHub()
        hub.stop()
        agent = node(hub, ToyCore("plvn", "p1", act))
        edge = node(hub, ToyCore("edge", "e1"), *EDGE_ROUTES)
        async with running(edge, agent):
            for _ in range(3):
                assert agent.runtime.observe("slot") == [ACTUATE]
            assert agent.runtime.meter.counts == {"slots": 6}
            hub.start()
            await asyncio.sleep(2)
            assert received(edge.core) == [performance(1)] * 3
            agent.runtime.quiesce()
            assert agent.runtime.observe("slot") == []

    virtual(main())


def test_who_ends_is_not_moved_by_the_goodbyes_of_others_but_takes_their_last_messages() -> None:
    def each_slot(taken: Input, _now: float) -> Sequence[Effect]:
        return [Publish(performance(1), AT)] if isinstance(taken, Observed) else []

    async def main() -> None:
        hub = MemoryHub()
        first, second = (node(hub, ToyCore("edge", name), *EDGE_ROUTES) for name in ("e1", "e2"))
        agent = node(hub, ToyCore("plvn", "p1", each_slot))
        async with running(first, second):
            async with running(agent):
                first.runtime.quiesce()
                agent.runtime.observe("slot")
            await asyncio.sleep(1)
            goodbye = status("plvn", "offline")
            assert received(first.core) == [performance(1)]
            assert received(second.core) == [performance(1), goodbye]

    virtual(main())


def test_a_full_queue_costs_the_oldest_messages_and_counts_them() -> None:
    async def main() -> None:
        hub = MemoryHub()
        hub.stop()
        bus, store = MemoryBus(hub), MemoryStore()
        core = ToyCore("plvn", "p1")
        runtime = build_runtime(
            core,
            bus,
            routes=(),
            clock=LoopClock(),
            jobs=InlineJobs(),
            store=store,
            settings=RuntimeSettings(queue_limit=3),
        )
        edge = node(hub, ToyCore("edge", "e1"), *EDGE_ROUTES)
        async with running(edge, Node(core, runtime, bus, store)):
            for slot in range(5):
                core.behaviour = publisher(slot)
                runtime.observe(None)
            hub.start()
            await asyncio.sleep(2)
        versions = [m.version for m in received(edge.core) if isinstance(m, ModelApplied)]
        assert versions == [2, 3, 4]
        assert runtime.meter.dropped == 2

    def publisher(version: int) -> Behaviour:
        return lambda taken, _now: (
            [Publish(applied(version), AT)] if isinstance(taken, Observed) else []
        )

    virtual(main())


def test_subscriptions_of_a_core_come_and_go_in_the_order_of_its_messages() -> None:
    one = Subscribe((ModelRequested,), Address(plvn=PlvnId("p1")))

    async def main() -> None:
        hub = MemoryHub()
        edge = node(hub, ToyCore("edge", "e1", on_start(one)))
        agent = node(hub, ToyCore("plvn", "p1"))
        async with running(edge), running(agent):
            agent.core.behaviour = lambda _t, _n: [Publish(MODEL_REQUESTED, AT)]
            agent.runtime.observe(None)
            await asyncio.sleep(0.01)
            edge.core.behaviour = lambda _t, _n: [Unsubscribe(one.messages, one.to)]
            edge.runtime.observe(None)
            await asyncio.sleep(0.01)
            agent.runtime.observe(None)
            await asyncio.sleep(0.01)
            assert received(edge.core) == [MODEL_REQUESTED]

    virtual(main())


def test_health_shows_counts_simulated_time_and_speed() -> None:
    async def main() -> None:
        hub = MemoryHub()
        agent = node(hub, ToyCore("plvn", "p1"))
        async with running(agent), MemoryBus(hub) as watcher:
            await watcher.subscribe(["twintier/v1/mon/plvn/p1"])
            for second in range(3):
                agent.core.behaviour = speaker(100.0 + 50.0 * second)
                agent.runtime.observe(None)
                await asyncio.sleep(1)
            reports = [decode(d.payload, d.topic).message async for d in two(watcher)]
        assert reports[1] == HealthReported(
            role="plvn",
            uptime_s=2.0,
            published=3,
            delivered=0,
            redelivered=0,
            refused=0,
            dropped=0,
            inbox=0,
            sim_time_s=150.0,
            speed=50.0,
            counters=(),
            peers=(),
        )

    def speaker(sim_time_s: float) -> Behaviour:
        return lambda _t, _n: [Publish(applied(0), AT, sim_time_s=sim_time_s)]

    async def two(bus: MemoryBus):  # type: ignore[no-untyped-def]  # noqa: ANN202
        deliveries = bus.deliveries()
        yield await anext(deliveries)
        yield await anext(deliveries)

    virtual(main())


def test_ledgers_of_a_clean_run_show_no_loss_and_of_a_cut_one_do(tmp_path: Path) -> None:
    async def main() -> None:
        hub = MemoryHub()
        paths = [tmp_path / "edge.json", tmp_path / "agent.json"]
        edge = node(hub, ToyCore("edge", "e1"), *EDGE_ROUTES, path=paths[0])
        agent = node(hub, ToyCore("plvn", "p1"), path=paths[1])
        agent.core.behaviour = lambda _t, _n: [Publish(performance(0), AT)]
        async with running(edge, agent):
            for _ in range(10):
                agent.runtime.observe(None)
            await asyncio.sleep(0.1)
        counts = count_messages([read_ledger(path) for path in paths])
        assert counts.lost == 0
        assert counts.published >= 11
        written = read_ledger(paths[0])
        shortened = written.model_copy(update={"received": ()})
        assert count_messages([shortened, read_ledger(paths[1])]).lost == 11

    virtual(main())


def test_stopping_with_the_bus_away_is_bounded() -> None:
    async def main() -> None:
        hub = MemoryHub()
        agent = node(hub, ToyCore("plvn", "p1", on_start(Publish(performance(0), AT))))
        loop = asyncio.get_running_loop()
        async with running(agent):
            hub.stop()
            agent.runtime.observe(None)
            start = loop.time()
            await agent.runtime.stop()
            assert loop.time() - start == pytest.approx(0.0, abs=0.01)

    virtual(main())


def test_an_account_that_cannot_be_written_does_not_hold_up_the_end(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    async def scenario() -> None:
        core = ToyCore("plvn", "p1", nothing)
        alone = node(MemoryHub(), core, path=tmp_path / "file" / "ledger.json")
        working = asyncio.ensure_future(alone.runtime.run())
        await asyncio.sleep(0.01)
        async with asyncio.timeout(3):
            await alone.runtime.stop()
        with pytest.raises(StoreError, match=r"ledger.json cannot be written: .*--ledgers"):
            await working

    virtual(scenario())


def test_a_broker_that_has_forgotten_all_is_told_every_retained_value_again() -> None:
    indexed = [
        Publish(
            library_indexed(version), Address(inmf=COOP_PERCEPTION, category_digest=digest * 32)
        )
        for digest, version in (("a", 1), ("a", 2), ("b", 1))
    ]

    async def scenario() -> None:
        hub = MemoryHub()
        online = Publish(status("cloud", "online"))
        cloud = node(hub, ToyCore("cloud", "cloud", on_start(online, *indexed)))
        async with running(cloud):
            before = {topic: decode(p, topic).message for topic, p in hub.retained.items()}
            assert len(before) == 3
            hub.stop()
            hub.retained.clear()
            hub.start()
            await asyncio.sleep(0.01)
            after = {topic: decode(p, topic).message for topic, p in hub.retained.items()}
            assert after == before

    virtual(scenario())
