"""What clients that do not read our envelope see of a message, where the broker speaks MQTT 5."""

import asyncio
from pathlib import Path

import aiomqtt
import pytest

from tests.support.brokers import Server, broker_of
from tests.support.names import COOP_PERCEPTION
from tests.support.toy import performance
from twintier.broker.mqtt.bus import MqttBus, parse_url
from twintier.broker.mqtt.link import MqttSettings
from twintier.protocol.address import Address
from twintier.protocol.codec import decode
from twintier.protocol.ids import PlvnId
from twintier.runtime.delivery.encoder import Encoder
from twintier.runtime.delivery.send_queue import SendQueue
from twintier.runtime.effects import Publish

pytestmark = pytest.mark.system

CID = bytes(range(16))
MIRRORED = ("MessageExpiryInterval", "CorrelationData")
TO = Address(plvn=PlvnId("p1"), inmf=COOP_PERCEPTION)


async def seen_by_a_plain_client(url: str, effect: Publish) -> aiomqtt.Message:
    host, port = parse_url(url)
    queue = SendQueue(1)
    queue.put(Encoder("plvn", "p1", "b1", root="twintier").encode(effect, 0.0))
    plain = aiomqtt.Client(host, port, protocol=aiomqtt.ProtocolVersion.V5)
    async with asyncio.timeout(30), plain, MqttBus(url, MqttSettings("ours")) as bus:
        await plain.subscribe("twintier/#", 1)
        sending = asyncio.create_task(queue.send(bus, lambda _listening: None))
        message = await anext(aiter(plain.messages))
        sending.cancel()
        return message


@pytest.mark.parametrize("cid", [None, CID], ids=["news", "answer"])
def test_expiry_and_correlation_are_properties_too(tmp_path: Path, cid: bytes | None) -> None:
    with broker_of("mosquitto", tmp_path) as broker:
        assert isinstance(broker, Server)
        effect = Publish(performance(0), TO, ttl_s=59.2, cid=cid)
        message = asyncio.run(seen_by_a_plain_client(broker.running.url, effect))
    assert isinstance(message.payload, bytes)
    envelope = decode(message.payload, str(message.topic)).envelope
    assert (envelope.ttl_ms, envelope.cid) == (59_200, cid)
    found = [getattr(message.properties, name, None) for name in MIRRORED]
    assert found == [60, cid]
