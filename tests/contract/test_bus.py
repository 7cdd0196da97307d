"""What every bus must do, run for each implementation."""

import asyncio
import uuid
from collections.abc import Coroutine, Iterator
from pathlib import Path

import pytest

from tests.support.brokers import KINDS, BrokerUnderTest, broker_of
from tests.support.clusters import CLUSTERS, Cluster, cluster_of
from twintier.broker.bus import WINDOW, Bus, Delivery, Will
from twintier.broker.errors import LocalBusError, UnavailableError
from twintier.protocol.codec import MAX_PAYLOAD_BYTES

PATIENCE_S = 120.0
"""A cluster of which every node was killed needs most of it."""
EVERYWHERE = [*KINDS, *(pytest.param(kind, marks=pytest.mark.soak) for kind in CLUSTERS)]


@pytest.fixture(params=EVERYWHERE, scope="module")
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrokerUnderTest]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    begin = cluster_of if request.param in CLUSTERS else broker_of
    with begin(request.param, folder) as running:
        yield running


@pytest.fixture
def mortal(broker: BrokerUnderTest) -> BrokerUnderTest:
    """A broker that may be killed whole."""
    if isinstance(broker, Cluster) and not broker.restarts:
        pytest.skip("nodes that were killed all at once wait for one another: force_boot is needed")
    return broker


@pytest.fixture
def root() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


def within(main: Coroutine[object, None, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await main

    asyncio.run(bounded())


async def take(bus: Bus, count: int) -> list[Delivery]:
    """Take and acknowledge so many deliveries."""
    taken: list[Delivery] = []
    async for delivery in bus.deliveries():
        await delivery.ack()
        taken.append(delivery)
        if len(taken) == count:
            break
    return taken


async def fence(bus: Bus, root: str, expecting: int = 0) -> list[Delivery]:
    """What arrives until a message to itself has come, and so many others.

    Brokers keep the order within a subscription only, so what must come is waited for.
    """
    topic = f"{root}/fence/{uuid.uuid4().hex}"
    await bus.subscribe([topic])
    await bus.publish(topic, b"", qos=1)
    taken: list[Delivery] = []
    passed = False
    async for delivery in bus.deliveries():
        await delivery.ack()
        if delivery.topic == topic:
            passed = True
        else:
            taken.append(delivery)
        if passed and len({(d.topic, d.payload) for d in taken}) >= expecting:
            break
    return taken


def test_a_message_arrives_with_topic_payload_and_qos(broker: BrokerUnderTest, root: str) -> None:
    async def main() -> None:
        async with broker.client("reader") as reader, broker.client("writer") as writer:
            await reader.subscribe([f"{root}/a/+/c"])
            await writer.publish(f"{root}/a/b/c", b"\x00\xff", qos=1)
            await writer.publish(f"{root}/a/x/c", b"", qos=0)
            two, one = sorted(await take(reader, 2), key=lambda d: d.qos)
        assert (one.topic, one.payload, one.qos) == (f"{root}/a/b/c", b"\x00\xff", 1)
        assert (two.topic, two.payload, two.qos) == (f"{root}/a/x/c", b"", 0)
        assert not one.retain
        assert not one.redelivered

    within(main())


@pytest.mark.parametrize(
    ("topic_filter", "topic", "arrives"),
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/+", "a", False),
        ("a/#", "a/b/c", True),
        ("+/b", "a/b", True),
        ("+/b", "b/a", False),
        ("a/b", "a/B", False),
        ("a/+/c/#", "a/b/c/d", True),
    ],
)
def test_filters_match_as_in_mqtt(
    broker: BrokerUnderTest, root: str, topic_filter: str, topic: str, *, arrives: bool
) -> None:
    async def main() -> None:
        async with broker.client("reader") as reader:
            await reader.subscribe([f"{root}/{topic_filter}"])
            await reader.publish(f"{root}/{topic}", b"x", qos=1)
            passed = await fence(reader, f"{root}f", int(arrives))
            got = [delivery.topic for delivery in passed]
        assert got == ([f"{root}/{topic}"] if arrives else [])

    within(main())


def test_order_and_number_are_kept_far_beyond_the_window(
    broker: BrokerUnderTest, root: str
) -> None:
    count = 20 * WINDOW

    async def main() -> None:
        async with broker.client("reader") as reader, broker.client("writer") as writer:
            await reader.subscribe([f"{root}/n"])
            async with asyncio.TaskGroup() as group:
                taking = group.create_task(take(reader, count))
                for number in range(count):
                    await writer.publish(f"{root}/n", str(number).encode(), qos=1)
                await writer.flush()
            assert [int(d.payload) for d in taking.result()] == list(range(count))

    within(main())


def test_a_retained_message_waits_for_subscribers_and_an_empty_one_removes_it(
    broker: BrokerUnderTest, root: str
) -> None:
    if isinstance(broker, Cluster) and not broker.shares_retained:
        pytest.skip("this cluster keeps retained messages on the node of their publisher")

    async def main() -> None:
        async with broker.client("writer") as writer:
            await writer.publish(f"{root}/s/1", b"old", qos=1, retain=True)
            await writer.publish(f"{root}/s/1", b"new", qos=1, retain=True)
            await writer.publish(f"{root}/s/2", b"gone", qos=1, retain=True)
            await writer.publish(f"{root}/s/2", b"", qos=1, retain=True)
            await writer.flush()
        async with broker.client("reader") as reader:
            await reader.subscribe([f"{root}/s/+"])
            kept = await fence(reader, f"{root}f", 1)
        assert [(d.topic, d.payload, d.retain) for d in kept] == [(f"{root}/s/1", b"new", True)]

    within(main())


def test_retain_is_not_set_on_what_was_published_while_listening(
    broker: BrokerUnderTest, root: str
) -> None:
    async def main() -> None:
        async with broker.client("reader") as reader:
            await reader.subscribe([f"{root}/s"])
            await reader.publish(f"{root}/s", b"now", qos=1, retain=True)
            [delivery] = await take(reader, 1)
        assert not delivery.retain

    within(main())


def test_an_ended_subscription_brings_nothing(broker: BrokerUnderTest, root: str) -> None:
    async def main() -> None:
        async with broker.client("reader") as reader:
            await reader.subscribe([f"{root}/a", f"{root}/b"])
            await reader.unsubscribe([f"{root}/a", f"{root}/never"])
            await reader.publish(f"{root}/a", b"1", qos=1)
            await reader.publish(f"{root}/b", b"2", qos=1)
            got = await fence(reader, f"{root}f", 1)
        assert [d.topic for d in got] == [f"{root}/b"]

    within(main())


def test_a_message_as_large_as_the_limit_passes_and_a_larger_one_is_refused_before_sending(
    broker: BrokerUnderTest, root: str
) -> None:
    async def main() -> None:
        async with broker.client("reader") as reader:
            await reader.subscribe([f"{root}/big"])
            with pytest.raises(LocalBusError, match="exceeds"):
                await reader.publish(f"{root}/big", bytes(MAX_PAYLOAD_BYTES + 1), qos=1)
            await reader.publish(f"{root}/big", bytes(MAX_PAYLOAD_BYTES), qos=1)
            [delivery] = await take(reader, 1)
        assert delivery.payload == bytes(MAX_PAYLOAD_BYTES)

    within(main())


@pytest.mark.parametrize("topic", ["", "a/+", "a/#", "a//b", "/a", "a/", "$SYS/a", "a b", "a\0"])
def test_topics_outside_the_subset_are_refused(broker: BrokerUnderTest, topic: str) -> None:
    async def main() -> None:
        async with broker.client("writer") as writer:
            with pytest.raises(LocalBusError, match="subset"):
                await writer.publish(topic, b"", qos=1)

    within(main())


def test_a_clean_close_sends_no_will(broker: BrokerUnderTest, root: str) -> None:
    async def main() -> None:
        async with broker.client("reader") as reader:
            await reader.subscribe([f"{root}/will"])
            writer = broker.client("writer")
            await writer.connect(lambda: Will(f"{root}/will", b"offline"))
            await writer.wait_up()
            await writer.close()
            assert await fence(reader, f"{root}f") == []

    within(main())


def test_deliveries_end_when_the_bus_is_closed(broker: BrokerUnderTest) -> None:
    async def main() -> None:
        bus = broker.client("reader")
        await bus.connect()
        await bus.wait_up()
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(take(bus, 1))
            await asyncio.sleep(0)
            await bus.close()
        assert waiting.result() == []

    within(main())


def test_what_was_handed_over_and_not_acknowledged_survives_a_killed_broker(
    mortal: BrokerUnderTest, root: str
) -> None:
    async def main() -> None:
        async with mortal.client("reader") as reader, mortal.client("writer") as writer:
            await reader.subscribe([f"{root}/n"])
            await writer.publish(f"{root}/n", b"0", qos=1)
            [first] = await take(reader, 1)
            assert first.payload == b"0"
            mortal.kill()
            with pytest.raises(UnavailableError):
                await publish_until_refused(writer, f"{root}/lost")
            mortal.restart()
            await asyncio.gather(writer.wait_up(), reader.wait_up())
            for number in range(1, 101):
                await writer.publish(f"{root}/n", str(number).encode(), qos=1)
            await writer.flush()
            got = [d.payload for d in await take_distinct(reader, 100, but=b"0")]
        assert got == [str(n).encode() for n in range(1, 101)]

    within(main())


async def take_distinct(bus: Bus, count: int, but: bytes) -> list[Delivery]:
    """Take payloads, each once, leaving out one whose acknowledgement may have been lost."""
    taken: dict[bytes, Delivery] = {}
    async for delivery in bus.deliveries():
        await delivery.ack()
        if delivery.payload != but:
            taken.setdefault(delivery.payload, delivery)
        if len(taken) == count:
            break
    return list(taken.values())


async def publish_until_refused(bus: Bus, topic: str) -> None:
    while True:
        await bus.publish(topic, b"", qos=1)
        await asyncio.sleep(0.01)


def test_an_absent_broker_is_reported_in_bounded_time_and_closing_is_quick(
    mortal: BrokerUnderTest, root: str
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with mortal.client("writer") as writer:
            mortal.kill()
            start = loop.time()
            with pytest.raises(UnavailableError):
                await publish_until_refused(writer, f"{root}/x")
            assert loop.time() - start < 5
            start = loop.time()
        assert loop.time() - start < 0.5
        mortal.restart()

    within(main())
