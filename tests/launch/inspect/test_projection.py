"""What listens shows an upload once, however often its sender sends it."""

import asyncio

from tests.support.autojump import run
from tests.support.names import COOP_PERCEPTION
from tests.support.toy import performance
from twintier.broker.memory import MemoryBus, MemoryHub
from twintier.launch.inspect.projection import View, listen
from twintier.protocol.address import Address
from twintier.protocol.ids import PlvnId
from twintier.runtime.delivery.encoder import Encoder
from twintier.runtime.effects import Publish

P1 = PlvnId("p1")
AT = Address(plvn=P1, inmf=COOP_PERCEPTION)


def test_an_upload_that_comes_again_is_shown_once() -> None:
    async def main() -> View:
        hub, view = MemoryHub(), View()
        encoder = Encoder("plvn", "p1", "b1", root="twintier", low_watermark=lambda _stream: 1)
        task = asyncio.create_task(
            listen(MemoryBus(hub), "twintier", view.take, lambda _topic: None)
        )
        async with MemoryBus(hub) as sender:
            for number in range(3):
                sent = encoder.encode(Publish(performance(number), AT), 0.0)
                for _ in range(2):
                    await sender.publish(sent.topic, sent.payload, qos=1)
            await asyncio.sleep(1)
        task.cancel()
        return view

    view = run(main())
    assert (view.messages, view.unreadable) == (3, 0)
    assert list(view.plvns[P1].inmf(COOP_PERCEPTION).recent) == [(1.5, 10)] * 3
