"""The generated access rules on a real Mosquitto."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path

import pytest

from twintier.broker.mqtt.bus import MqttBus
from twintier.broker.mqtt.link import MqttSettings
from twintier.broker.servers.acl import access_rules
from twintier.broker.servers.mosquitto import find_mosquitto, start_mosquitto
from twintier.protocol.ids import EdgeId

pytestmark = pytest.mark.system

PERF = "twintier/v1/plvn/{}/up/perf/x"
DOWN = "twintier/v1/plvn/{}/down/model/x"


def within(main: Coroutine[object, None, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await main

    asyncio.run(bounded())


def test_a_plvn_reaches_its_own_branch_only(tmp_path: Path) -> None:
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    broker = start_mosquitto(tmp_path, acl=access_rules([EdgeId("e1")]))

    def client(user: str) -> MqttBus:
        return MqttBus(broker.url, MqttSettings(f"client-{user}", username=user))

    async def main() -> None:
        async with client("p1") as p1, client("p2") as p2, client("e1") as e1:
            await e1.subscribe([PERF.format("+")])
            await p1.subscribe([DOWN.format("p1")])
            await p2.subscribe([DOWN.format("p1")])
            await p1.publish(PERF.format("p2"), b"forged", qos=1)
            await p1.publish(PERF.format("p1"), b"own", qos=1)
            await p2.publish(DOWN.format("p1"), b"forged", qos=1)
            await e1.publish(DOWN.format("p1"), b"model", qos=1)
            for bus in (p1, p2, e1):
                await bus.flush()
            assert (await anext(e1.deliveries())).payload == b"own"
            assert (await anext(p1.deliveries())).payload == b"model"
            assert (p1.refused, p2.refused, e1.refused) == (1, 1, 0)
            assert (p1.waiting, p2.waiting, e1.waiting) == (0, 0, 0)

    try:
        within(main())
    finally:
        broker.stop()
