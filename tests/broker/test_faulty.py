import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.support.autojump import LoopClock, run
from twintier.broker.errors import LocalBusError, UnavailableError
from twintier.broker.faulty import Faults, FaultyBus, SkewedClock, skewed
from twintier.broker.memory import MemoryBus, MemoryDelivery, MemoryHub

COUNT = 400


async def transfer(faults: Faults) -> tuple[list[int], FaultyBus]:
    """Send numbers through a faulty bus; returns what came, in order."""
    hub = MemoryHub()
    came: list[int] = []
    async with MemoryBus(hub) as writer, FaultyBus(MemoryBus(hub), faults, "reader") as reader:
        await reader.subscribe(["n"])

        async def take() -> None:
            async for delivery in reader.deliveries():
                await delivery.ack()
                came.append(int(delivery.payload))

        async with asyncio.TaskGroup() as group:
            taking = group.create_task(take())
            for number in range(COUNT):
                await writer.publish("n", str(number).encode(), qos=1)
                await asyncio.sleep(0.01)
            await asyncio.sleep(60)
            taking.cancel()
    return came, reader


def test_without_faults_everything_comes_once_and_in_order() -> None:
    came, _ = run(transfer(Faults()))
    assert came == list(range(COUNT))


def test_lost_deliveries_never_come_and_are_counted() -> None:
    came, bus = run(transfer(Faults(loss=0.2)))
    assert len(came) == COUNT - bus.counts["lost"]
    assert came == sorted(set(came))
    assert 40 <= bus.counts["lost"] <= 120


def test_doubled_deliveries_come_exactly_twice() -> None:
    came, bus = run(transfer(Faults(duplicate=0.3, delay_s=0.5)))
    counts = Counter(came)
    assert sorted(counts) == list(range(COUNT))
    assert sum(count == 2 for count in counts.values()) == bus.counts["duplicated"] > 60


def test_late_deliveries_come_once_and_overtake() -> None:
    came, bus = run(transfer(Faults(delay=0.5, delay_s=2.0)))
    assert sorted(came) == list(range(COUNT))
    assert came != sorted(came)
    assert bus.counts["delayed"] > 150


def test_each_fault_is_told_by_its_kind() -> None:
    told: Counter[str] = Counter()

    async def main() -> FaultyBus:
        hub, faults = MemoryHub(), Faults(loss=0.2, duplicate=0.2, delay=0.2)
        async with MemoryBus(hub) as writer, FaultyBus(MemoryBus(hub), faults, "reader") as reader:
            reader.on_fault = lambda kind: told.update([kind])
            await reader.subscribe(["n"])
            for _ in range(100):
                await writer.publish("n", b"", qos=1)
            await asyncio.sleep(10)
        return reader

    assert run(main()).counts == told
    assert sorted(told) == ["delayed", "duplicated", "lost"]


class Counted(MemoryBus):
    """Counts the acknowledgements that reach the broker."""

    acknowledged = 0

    async def deliveries(self) -> AsyncIterator[MemoryDelivery]:
        async for delivery in super().deliveries():
            yield CountedDelivery(self, delivery)


class CountedDelivery(MemoryDelivery):
    def __init__(self, bus: Counted, one: MemoryDelivery) -> None:
        super().__init__(bus, one.topic, one.payload, one.qos, retain=False, expiry=one.expiry)
        self.counted = bus

    async def ack(self) -> None:
        self.counted.acknowledged += 1


def test_both_copies_of_a_delivery_are_acknowledged_once() -> None:
    async def main() -> int:
        hub = MemoryHub()
        bus = Counted(hub)
        faults = Faults(duplicate=1.0, delay_s=0.5)
        async with MemoryBus(hub) as writer, FaultyBus(bus, faults, "reader") as reader:
            await reader.subscribe(["n"])
            await writer.publish("n", b"", qos=1)
            coming = reader.deliveries()
            for _ in range(2):
                await (await anext(coming)).ack()
        return bus.acknowledged

    assert run(main()) == 1


def test_a_cut_link_refuses_to_publish_and_delivers_afterwards() -> None:
    async def main() -> None:
        hub = MemoryHub()
        faults = Faults(partition_every_s=1.0, partition_s=30.0)
        async with FaultyBus(MemoryBus(hub), faults, "a") as bus, MemoryBus(hub) as other:
            await bus.subscribe(["n"])
            await asyncio.sleep(25)
            assert not bus.up
            with pytest.raises(UnavailableError, match="cut"):
                await bus.publish("n", b"", qos=1)
            await other.publish("n", b"1", qos=1)
            delivery = await anext(bus.deliveries())
            assert delivery.payload == b"1"
            assert bus.up

    run(main())


def test_the_same_seed_gives_the_same_faults_and_another_name_others() -> None:
    faults = Faults(loss=0.2, duplicate=0.2, delay=0.2)
    assert run(transfer(faults))[0] == run(transfer(faults))[0]
    assert run(transfer(faults))[0] != run(transfer(Faults(2, 0.2, 0.2, 0.2)))[0]


def test_faults_are_read_from_text() -> None:
    assert Faults.parse("loss=0.01,seed=7,delay_s=3") == Faults(seed=7, loss=0.01, delay_s=3.0)
    assert Faults.parse("") == Faults()


@pytest.mark.parametrize("text", ["los=1", "loss", "loss=x", "loss=2", "delay_s=-1"])
def test_faults_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(LocalBusError, match="fault"):
        Faults.parse(text)


def test_a_skewed_clock_drifts_away() -> None:
    async def main() -> None:
        clock = LoopClock(epoch_s=0.0)
        skewed = SkewedClock(clock, offset_s=100.0, drift=0.5)
        assert skewed.now() == 100.0
        await asyncio.sleep(10)
        assert skewed.now() == pytest.approx(115.0)

    run(main())


def test_each_process_has_a_clock_of_its_own_drawn_from_the_seed() -> None:
    async def main() -> None:
        clock = LoopClock(epoch_s=0.0)
        assert skewed(clock, Faults(), "a") is clock
        names = [f"p{number}" for number in range(200)]
        off = [skewed(clock, Faults(skew_s=3.0), name).now() for name in names]
        assert off == [skewed(clock, Faults(skew_s=3.0), name).now() for name in names]
        assert off != [skewed(clock, Faults(seed=2, skew_s=3.0), name).now() for name in names]
        assert -3.0 < min(off) < -2.5
        assert 2.5 < max(off) < 3.0

    run(main())
