"""Losses on the way to and from the bus: each is in the report, and once."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path

from tests.support.autojump import LoopClock, run
from tests.support.toy import ToyCore
from twintier.broker.memory import MemoryBus, MemoryHub
from twintier.protocol.codec import decode
from twintier.protocol.messages import Counter, HealthReported
from twintier.protocol.topics import DEFAULT_ROOT
from twintier.runtime.build import build_runtime
from twintier.runtime.delivery.bulk import Bulk
from twintier.runtime.delivery.decoder import Decoder
from twintier.runtime.delivery.ledger import read_ledger
from twintier.runtime.delivery.meter import Meter
from twintier.runtime.delivery.outbox import Outbox
from twintier.runtime.delivery.outgoing import Outgoing
from twintier.runtime.delivery.send_queue import SendQueue
from twintier.runtime.jobs import InlineJobs
from twintier.runtime.settings import RuntimeSettings
from twintier.runtime.storage.store import MemoryStore


class RefusingBus(MemoryBus):
    """Its broker has refused some messages."""

    def __init__(self, hub: MemoryHub, refused: int) -> None:
        super().__init__(hub)
        self._refused = refused

    @property
    def refused(self) -> int:
        return self._refused


def virtual(main: Coroutine[object, None, None]) -> None:
    run(main)


def outgoing(payload: bytes) -> Outgoing:
    return Outgoing("twintier/v1/x", payload, 1, retain=False, ttl_s=60.0, stream="x", seq=1)


def meter(bus: MemoryBus, queue: SendQueue, bulk: Bulk | None = None) -> Meter:
    return Meter("plvn", bus, Decoder(DEFAULT_ROOT), queue, Outbox("plvn:p1", ()), bulk=bulk)


async def drained(queue: SendQueue, bus: MemoryBus) -> None:
    sending = asyncio.create_task(queue.send(bus, lambda _listening: None))
    await queue.wait_idle()
    sending.cancel()


def test_a_message_that_the_bus_cannot_carry_counts_once() -> None:
    async def main() -> None:
        async with MemoryBus(MemoryHub(limit_bytes=100)) as bus, MemoryBus(MemoryHub()) as other:
            queue, bulk = SendQueue(10), Bulk(MemoryBus(MemoryHub()), 10)
            queue.put(outgoing(bytes(101)))
            queue.put(outgoing(bytes(50)))
            bulk.queue.put(outgoing(bytes(101)))
            await drained(queue, bus)
            assert (queue.published, meter(bus, queue).dropped) == (1, 1)
            await drained(bulk.queue, bus)
            assert meter(other, SendQueue(10), bulk).dropped == 1

    virtual(main())


def test_what_the_connection_of_large_things_loses_is_in_the_report() -> None:
    async def main() -> None:
        hub = MemoryHub()
        queue, bulk = SendQueue(1), Bulk(MemoryBus(hub), 2)
        for _ in range(5):
            bulk.queue.put(outgoing(b"chunk"))
        both = meter(MemoryBus(hub), queue, bulk)
        assert both.health(1.0).dropped == 3
        queue.put(outgoing(b"a"))
        queue.put(outgoing(b"b"))
        assert both.health(2.0).dropped == 4

    virtual(main())


def test_what_the_broker_refuses_is_in_the_report_and_in_the_ledger(tmp_path: Path) -> None:
    async def main() -> None:
        hub, path = MemoryHub(), tmp_path / "agent.json"
        runtime = build_runtime(
            ToyCore("plvn", "p1"),
            RefusingBus(hub, 2),
            routes=(),
            clock=LoopClock(),
            jobs=InlineJobs(),
            store=MemoryStore(),
            settings=RuntimeSettings(ledger_path=path),
            bulk=RefusingBus(hub, 3),
        )
        async with MemoryBus(hub) as watcher:
            await watcher.subscribe(["twintier/v1/mon/plvn/p1"])
            running = asyncio.create_task(runtime.run())
            delivery = await anext(watcher.deliveries())
            await runtime.stop()
            await running
        report = decode(delivery.payload, delivery.topic).message
        assert isinstance(report, HealthReported)
        assert (report.dropped, report.refused) == (5, 0)
        assert report.counters == (Counter(name="refused_by_broker", count=5),)
        assert read_ledger(path).dropped == 5

    virtual(main())
