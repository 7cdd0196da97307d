import asyncio
from types import TracebackType
from typing import Self

import pytest

from twintier.broker.mqtt.bus import MqttBus
from twintier.broker.mqtt.link import MqttSettings


class DeafLink:
    """A link that loses a cancellation, as `asyncio.wait_for` does when its answer comes then."""

    subscribing = asyncio.Event()

    def __init__(self, *_arguments: object, **_named: object) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        pass

    async def subscribe(self, _filters: list[str]) -> None:
        self.subscribing.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    async def lost(self) -> None:
        await asyncio.Event().wait()


def test_closing_in_the_moment_of_an_answer_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twintier.broker.mqtt.bus.MqttLink", DeafLink)

    async def main() -> tuple[int, bool]:
        async with asyncio.timeout(5):
            bus = MqttBus("mqtt://127.0.0.1:1", MqttSettings("c"))
            await bus.subscribe(["a"])
            await bus.connect()
            await DeafLink.subscribing.wait()
            await bus.close()
        return bus.connections, bus.up

    assert asyncio.run(main()) == (0, False)
