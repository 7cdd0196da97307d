"""What real brokers keep for those who are away, with our configuration.

Mosquitto's defaults lose silently here: 1,000 of 3,000 queued messages arrive, and 1,020 of 3,000
retained ones.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path

import pytest

from tests.support.brokers import Server, broker_of
from twintier.broker.mqtt.bus import MqttBus
from twintier.broker.mqtt.link import MqttSettings

pytestmark = pytest.mark.system

QUEUED = 20_000
RETAINED = 3_000


@pytest.fixture(params=["mosquitto", "nats"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with broker_of(request.param, tmp_path) as running:
        assert isinstance(running, Server)
        yield running


def within(main: Coroutine[object, None, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(150):
            await main

    asyncio.run(bounded())


async def payloads(bus: MqttBus, count: int) -> list[int]:
    """The numbers of so many deliveries, acknowledged."""
    taken: list[int] = []
    async for delivery in bus.deliveries():
        await delivery.ack()
        taken.append(int(delivery.payload))
        if len(taken) == count:
            break
    return taken


def test_messages_queued_for_an_absent_edge_server_all_arrive_in_order(broker: Server) -> None:
    async def main() -> None:
        settings = MqttSettings("edge-e1", keep_session=True, session_expiry_s=3600)
        async with MqttBus(broker.running.url, settings) as edge:
            await edge.subscribe(["t/n"])
        async with broker.client("writer") as writer:
            for number in range(QUEUED):
                await writer.publish("t/n", str(number).encode(), qos=1)
            await writer.flush()
        async with MqttBus(broker.running.url, settings) as edge:
            assert await payloads(edge, QUEUED) == list(range(QUEUED))

    within(main())


def test_retained_statuses_of_a_large_fleet_all_arrive(broker: Server) -> None:
    async def main() -> None:
        async with broker.client("writer") as writer:
            for number in range(RETAINED):
                payload = str(number).encode()
                await writer.publish(f"t/s/{number}", payload, qos=1, retain=True)
            await writer.flush()
        async with broker.client("reader") as reader:
            await reader.subscribe(["t/s/+"])
            assert sorted(await payloads(reader, RETAINED)) == list(range(RETAINED))

    within(main())
