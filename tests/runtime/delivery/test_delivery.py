"""Refusals that reach their sender, large messages in chunks, and two processes of one source."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgpack
import numpy as np
import pytest

from tests.support.autojump import LoopClock, run
from tests.support.names import COOP_PERCEPTION
from tests.support.toy import Behaviour, ToyCore, nothing, performance, status
from twintier.broker.faulty import Faults, FaultyBus
from twintier.broker.memory import MemoryBus, MemoryHub
from twintier.protocol.address import Address
from twintier.protocol.catalogue import row_of
from twintier.protocol.codec import announce, decode, encode
from twintier.protocol.envelope import Envelope
from twintier.protocol.ids import EdgeId, PlvnId
from twintier.protocol.messages import (
    AgentStatusReported,
    ChunksRequested,
    MessageRefused,
    MessageReturned,
    MetaModelOffered,
    MetaModelRequested,
    ModelDispatched,
    PerformanceReported,
    UploadsAcknowledged,
)
from twintier.protocol.messages.base import Message
from twintier.protocol.tensors import Tensors
from twintier.protocol.values import Fence
from twintier.runtime.build import build_runtime
from twintier.runtime.core import Input, Received
from twintier.runtime.delivery.chunks import KeptMessages
from twintier.runtime.delivery.presence import TakenOverError
from twintier.runtime.delivery.settings import DeliverySettings
from twintier.runtime.effects import Effect, Publish, Subscribe
from twintier.runtime.jobs import InlineJobs
from twintier.runtime.runtime import Runtime
from twintier.runtime.settings import RuntimeSettings
from twintier.runtime.storage.store import MemoryStore

P1, E1 = PlvnId("p1"), EdgeId("e1")
AT_P1 = Address(plvn=P1, inmf=COOP_PERCEPTION)
AT_E1 = Address(edge=E1, inmf=COOP_PERCEPTION)
PLVN = Subscribe(
    (AgentStatusReported, ChunksRequested, MessageReturned, ModelDispatched, UploadsAcknowledged),
    Address(plvn=P1, branch="plvn/down"),
)
EDGE = Subscribe((ChunksRequested, MessageReturned, PerformanceReported), Address(branch="plvn/up"))
EDGE_DOWN = Subscribe((ChunksRequested, MetaModelOffered), Address(edge=E1, branch="edge/down"))
CLOUD = Subscribe((ChunksRequested, MetaModelRequested), Address(branch="edge/up"))


@dataclass
class Node:
    core: ToyCore
    runtime: Runtime
    bulk: MemoryBus


def node(
    hub: MemoryHub,
    core: ToyCore,
    *routes: Subscribe,
    boot: str = "b1",
    bulk: bool = True,
    faults: Faults | None = None,
    chunk_bytes: int = 1024,
) -> Node:
    second = MemoryBus(hub)
    first: MemoryBus | FaultyBus = MemoryBus(hub)
    other: MemoryBus | FaultyBus = second
    if faults is not None:
        first, other = FaultyBus(first, faults, core.id), FaultyBus(second, faults, f"{core.id}-2")
    runtime = build_runtime(
        core,
        first,
        bulk=other if bulk else None,
        routes=routes,
        clock=LoopClock(),
        jobs=InlineJobs(),
        store=MemoryStore(),
        settings=RuntimeSettings(
            incarnation=boot, delivery=DeliverySettings(chunk_bytes=chunk_bytes)
        ),
    )
    return Node(core, runtime, second)


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


def publishing(*effects: Effect) -> Behaviour:
    def behave(taken: Input, _now: float) -> Sequence[Effect]:
        return [] if isinstance(taken, Received) else effects

    return behave


def say(each: Node, *effects: Effect) -> None:
    each.core.behaviour = publishing(*effects)
    each.runtime.observe(None)
    each.core.behaviour = nothing


def offered(values: int, version: int = 1) -> MetaModelOffered:
    vector = np.arange(values, dtype=np.float32)
    return MetaModelOffered(
        inmf=COOP_PERCEPTION,
        category="",
        version=version,
        model="0" * 64,
        schema_id="s",
        parameters=Tensors.pack({"init": vector, "log_step_sizes": -vector}),
    )


class TestRefusals:
    def test_an_unknown_version_is_refused_with_a_reason_that_reaches_the_sender(self) -> None:
        async def main() -> None:
            hub = MemoryHub()
            edge, agent = (
                node(hub, ToyCore("edge", "e1"), EDGE),
                node(hub, ToyCore("plvn", "p1"), PLVN),
            )
            async with running(edge, agent), MemoryBus(hub) as newer:
                topic, payload = of_version_9(seq=7)
                await newer.publish(topic, payload, qos=1)
                await asyncio.sleep(1)
            assert of(agent.core, MessageReturned) == [
                MessageReturned(
                    type="performance-reported.v9",
                    boot="b1",
                    stream="plvn/p1/up/perf/coop-perception",
                    seq=7,
                    code="unknown_version",
                    reason="performance-reported.v9 is not a version known here; "
                    "send performance-reported.v2",
                )
            ]
            assert edge.runtime.meter.counts["refused.unknown_version"] == 1

        virtual(main())

    def test_a_refused_upload_is_sent_no_more_and_the_next_ones_arrive(self) -> None:
        async def main() -> None:
            hub = MemoryHub()
            edge, agent = (
                node(hub, ToyCore("edge", "e1"), EDGE),
                node(hub, ToyCore("plvn", "p1"), PLVN),
            )

            def failing(taken: Input, _now: float) -> Sequence[Effect]:
                match taken:
                    case Received(message=PerformanceReported(slot_first=1)):
                        raise ValueError("no slot 1 here")
                return []

            edge.core.behaviour = failing
            async with running(edge, agent):
                for number in range(3):
                    say(agent, Publish(performance(number), AT_P1))
                await asyncio.sleep(30)
                assert agent.runtime.kept == 0
            (returned,) = of(agent.core, MessageReturned)
            assert isinstance(returned, MessageReturned)
            assert (returned.seq, returned.code) == (2, "failed")
            assert returned.reason == "PerformanceReported: ValueError: no slot 1 here"
            assert len(of(edge.core, PerformanceReported)) == 3

        virtual(main())

    def test_a_refusal_of_a_refusal_or_of_a_forger_goes_nowhere(self) -> None:
        async def main() -> None:
            hub = MemoryHub()
            edge, agent = (
                node(hub, ToyCore("edge", "e1"), EDGE),
                node(hub, ToyCore("plvn", "p1"), PLVN),
            )
            async with running(edge, agent), MemoryBus(hub) as other:
                topic, payload = of_version_9(seq=1, src="plvn:p2")
                await other.publish(topic, payload, qos=1)
                topic, payload = of_version_9(seq=1, kind="message-returned")
                await other.publish("twintier/v1/plvn/p1/up/refused", payload, qos=1)
                await asyncio.sleep(1)
            assert of(agent.core, MessageReturned) == []
            assert edge.runtime.meter.refused == 2

        virtual(main())


def of_version_9(
    seq: int, src: str = "plvn:p1", kind: str = "performance-reported"
) -> tuple[str, bytes]:
    stream = "plvn/p1/up/perf/coop-perception"
    fields = {
        "type": f"{kind}.v9",
        "id": bytes(16),
        "src": src,
        "boot": "b1",
        "stream": stream,
        "seq": seq,
        "ts_ns": 0,
        "body": {},
    }
    return f"twintier/v1/{stream}", msgpack.packb(fields)


class TestLargeMessages:
    @pytest.mark.parametrize("bulk", [True, False])
    def test_a_large_message_travels_in_chunks_and_arrives_whole(
        self,
        bulk: bool,  # noqa: FBT001  # a parameter
    ) -> None:
        async def main() -> None:
            hub = MemoryHub()
            cloud = node(hub, ToyCore("cloud", "cloud"), CLOUD, bulk=bulk)
            edge = node(hub, ToyCore("edge", "e1"), EDGE_DOWN, bulk=bulk)
            async with running(cloud, edge), MemoryBus(hub) as watcher:
                await watcher.subscribe(["twintier/v1/edge/e1/down/#"])
                say(cloud, Publish(offered(10_000), AT_E1), Publish(offered(1, 2), AT_E1))
                await asyncio.sleep(5)
            assert of(edge.core, MetaModelOffered) == [offered(10_000), offered(1, 2)]
            sizes = [len(d.payload) async for d in watcher.deliveries()]
            assert max(sizes) < 1024 + 400
            assert len(sizes) > 80

        virtual(main())

    def test_a_small_message_needs_no_second_connection(self) -> None:
        async def main() -> None:
            hub = MemoryHub()
            cloud, edge = (
                node(hub, ToyCore("cloud", "cloud"), CLOUD),
                node(hub, ToyCore("edge", "e1"), EDGE_DOWN),
            )
            async with running(cloud, edge):
                say(cloud, Publish(offered(10), AT_E1))
                await asyncio.sleep(1)
                assert of(edge.core, MetaModelOffered) == [offered(10)]
                assert (cloud.bulk.connections, edge.bulk.connections) == (0, 0)

        virtual(main())

    def test_what_is_lost_on_the_way_is_asked_for_again_and_nothing_else(self) -> None:
        async def main() -> None:
            hub = MemoryHub()
            faults = Faults(seed=2, loss=0.2, duplicate=0.2)
            cloud = node(hub, ToyCore("cloud", "cloud"), CLOUD)
            edge = node(hub, ToyCore("edge", "e1"), EDGE_DOWN, faults=faults)
            sent: list[bytes] = []
            async with running(cloud, edge), MemoryBus(hub) as watcher:
                await watcher.subscribe(["twintier/v1/edge/e1/down/blob/+"])
                for version in range(1, 4):
                    say(cloud, Publish(offered(5_000, version), AT_E1))
                await asyncio.sleep(120)
            sent = [d.payload async for d in watcher.deliveries()]
            whole = of(edge.core, MetaModelOffered)
            assert len(whole) >= 2
            assert all(m in [offered(5_000, v) for v in range(1, 4)] for m in whole)
            assert 40 * len(whole) < len(sent) < 2 * 40 * 3

        virtual(main())

    def test_a_sender_that_forgot_says_so_and_the_stream_goes_on(self) -> None:
        async def main() -> None:
            hub = MemoryHub()
            cloud = node(hub, ToyCore("cloud", "cloud"), CLOUD)
            edge = node(hub, ToyCore("edge", "e1"), EDGE_DOWN)
            async with running(cloud, edge), MemoryBus(hub) as other:
                topic, head = foreign_head()
                await other.publish(topic, head, qos=1)
                say(cloud, Publish(offered(1), AT_E1))
                await asyncio.sleep(5)
            assert of(edge.core, MetaModelOffered) == [offered(1)]
            assert edge.runtime.meter.counts["refused.incomplete"] == 1

        virtual(main())

    def test_a_message_waits_behind_a_large_one_of_its_stream(self) -> None:
        async def main() -> None:
            hub = MemoryHub()
            cloud = node(hub, ToyCore("cloud", "cloud"), CLOUD)
            edge = node(hub, ToyCore("edge", "e1"), EDGE_DOWN)
            order = [offered(3_000), offered(1, 2), offered(3_000, 3), offered(1, 4)]
            async with running(cloud, edge):
                say(cloud, *(Publish(message, AT_E1) for message in order))
                await asyncio.sleep(10)
            assert of(edge.core, MetaModelOffered) == order

        virtual(main())

    def test_kept_messages_are_bounded_and_end(self) -> None:
        kept = KeptMessages(limit_bytes=1500)
        blobs = []
        for letter in b"ab":
            payload = msgpack.packb({"body": bytes([letter]) * 1000})
            blob = announce(payload, 1024)[1]
            kept.keep(payload, blob, until=10.0)
            blobs.append(blob)
        first, second = (ChunksRequested(digest=b.digest, first=0, count=1) for b in blobs)
        assert [c.state for c in kept.chunks(first, 1.0)] == ["gone"]
        assert [c.state for c in kept.chunks(second, 1.0)] == ["here"]
        assert [c.state for c in kept.chunks(second, 10.0)] == ["gone"]


def foreign_head() -> tuple[str, bytes]:
    stream = "edge/e1/down/library/coop-perception"
    envelope = Envelope(
        type=row_of(MetaModelOffered).name,
        id=bytes(16),
        src="cloud:cloud",
        boot="elsewhere",
        stream=stream,
        seq=1,
        ts_ns=0,
        fence=Fence(1),
    )
    return f"twintier/v1/{stream}", announce(encode(envelope, offered(2_000)), 1024)[0]


class TestTwoProcessesOfOneSource:
    def test_the_younger_goes_on_and_the_elder_ends(self) -> None:
        async def main() -> None:
            hub = MemoryHub()
            elder = node(hub, ToyCore("plvn", "p1"), PLVN, boot="b1")
            younger = node(hub, ToyCore("plvn", "p1"), PLVN, boot="b2")
            async with MemoryBus(hub) as watcher:
                await watcher.subscribe(["twintier/v1/plvn/p1/up/status"])
                first = asyncio.create_task(elder.runtime.run())
                await asyncio.sleep(0.1)
                say(elder, Publish(status("plvn", "online")))
                await asyncio.sleep(0.1)
                second = asyncio.create_task(younger.runtime.run())
                await asyncio.sleep(0.1)
                say(younger, Publish(status("plvn", "online")))
                with pytest.raises(TakenOverError, match="plvn:p1"):
                    await first
                await younger.runtime.stop()
                await second
            said = [decode(d.payload, d.topic) async for d in watcher.deliveries()]
            assert [(d.envelope.boot, state_of(d.message)) for d in said] == [
                ("b1", "online"),
                ("b2", "online"),
                ("b2", "offline"),
            ]
            assert younger.runtime.meter.counts["presence.successor"] == 0

        virtual(main())

    def test_what_a_predecessor_says_last_does_not_stand(self) -> None:
        async def main() -> None:
            hub = MemoryHub()
            elder = node(hub, ToyCore("plvn", "p1"), boot="b1")  # does not listen to its status
            younger = node(hub, ToyCore("plvn", "p1"), PLVN, boot="b2")
            async with running(elder, younger):
                say(younger, Publish(status("plvn", "online")))
                await asyncio.sleep(0.1)
                await elder.runtime.stop()
                await asyncio.sleep(0.1)
                async with MemoryBus(hub) as late:
                    await late.subscribe(["twintier/v1/plvn/p1/up/status"])
                    retained = await anext(late.deliveries())
                    decoded = decode(retained.payload, retained.topic)
                assert decoded.envelope.boot == "b2"
                assert state_of(decoded.message) == "online"
                assert younger.runtime.meter.counts["presence.predecessor"] == 1

        virtual(main())


def state_of(message: Message) -> str:
    assert isinstance(message, AgentStatusReported)
    return message.state


def test_refusals_are_watched_too() -> None:
    async def main() -> None:
        hub = MemoryHub()
        edge = node(hub, ToyCore("edge", "e1"), EDGE)
        async with running(edge), MemoryBus(hub) as watcher:
            await watcher.subscribe(["twintier/v1/mon/dead"])
            topic, payload = of_version_9(seq=1)
            await watcher.publish(topic, payload, qos=1)
            dead = await anext(watcher.deliveries())
        message = decode(dead.payload, dead.topic).message
        assert isinstance(message, MessageRefused)
        assert (message.code, message.topic, message.size) == (
            "unknown_version",
            topic,
            len(payload),
        )

    virtual(main())
