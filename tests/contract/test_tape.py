"""Record on one broker, play on another: byte for byte, in order, below another root."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import pytest

from tests.support.brokers import BrokerUnderTest, broker_of
from twintier.broker.bus import Bus
from twintier.broker.tape import (
    Passed,
    Playing,
    TapeFrame,
    TapeHeader,
    TapeWriter,
    play,
    read_frames,
    read_header,
    record,
)

pytestmark = pytest.mark.system

COUNT = 300
PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerUnderTest]:
    with broker_of("mosquitto", tmp_path_factory.mktemp("mosquitto")) as running:
        yield running


@pytest.fixture(params=["mosquitto", "nats"])
def target(
    request: pytest.FixtureRequest, mosquitto: BrokerUnderTest, tmp_path: Path
) -> Iterator[BrokerUnderTest]:
    if request.param == "mosquitto":
        yield mosquitto
        return
    with broker_of(request.param, tmp_path / "nats") as running:
        yield running


def within(main: Coroutine[object, None, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await main

    asyncio.run(bounded())


def message(number: int) -> tuple[str, bytes]:
    """Topic and bytes of one message; none of them is a message of the catalogue."""
    return f"v1/plvn/p{number % 3}/up/x", bytes([number % 256, 0, 255]) * (1 + number % 40)


async def make_tape(broker: BrokerUnderTest, path: Path, root: str) -> list[TapeFrame]:
    began = time.monotonic_ns()
    async with broker.client("recorder") as bus, broker.client("writer") as writer:
        await writer.publish(f"{root}/v1/kept", b"from before", qos=1, retain=True)
        await writer.flush()
        await bus.subscribe([f"{root}/v1/#"])
        for number in range(COUNT):
            topic, payload = message(number)
            await writer.publish(f"{root}/{topic}", payload, qos=1)
        with TapeWriter(path, TapeHeader(root, time.time_ns())) as tape:
            clock: Callable[[], int] = lambda: time.monotonic_ns() - began  # noqa: E731
            await record(bus, tape, clock, Passed(), count=COUNT + 1)
        await writer.publish(f"{root}/v1/kept", b"", qos=1, retain=True)
        await writer.flush()
    return list(read_frames(path))


async def heard(bus: Bus, count: int) -> list[tuple[str, bytes, int]]:
    taken: list[tuple[str, bytes, int]] = []
    async for delivery in bus.deliveries():
        await delivery.ack()
        taken.append((delivery.topic, delivery.payload, delivery.qos))
        if len(taken) == count:
            break
    return taken


def test_a_tape_of_mosquitto_is_played_below_another_root_byte_for_byte_and_in_order(
    mosquitto: BrokerUnderTest, target: BrokerUnderTest, tmp_path: Path
) -> None:
    path = tmp_path / "tape"

    async def main() -> None:
        frames = await make_tape(mosquitto, path, "live")
        assert [frame.topic for frame in frames if frame.retain] == ["live/v1/kept"]
        header, played = read_header(path), Passed()
        assert header.root == "live"
        async with target.client("listener") as bus, target.client("player") as player:
            await bus.subscribe(["again/v1/#"])
            playing = Playing("again", speed=0.0)
            await play(player, header, read_frames(path), playing, played)
            got = await heard(bus, COUNT)
        expected = [(f"again/{topic}", payload, 1) for topic, payload in map(message, range(COUNT))]
        assert got == expected
        assert (played.messages, played.retained) == (COUNT, 0)

    within(main())


def test_values_from_before_are_kept_again_only_when_asked_for(
    mosquitto: BrokerUnderTest, tmp_path: Path
) -> None:
    path = tmp_path / "tape"
    kept = TapeFrame(0, "live/v1/kept", b"value", 1, retain=True)
    with TapeWriter(path, TapeHeader("live", 0)) as tape:
        tape.write(kept)
        tape.write(TapeFrame(0, "live/v1/passing", b"x", 1, retain=False))

    async def main() -> None:
        async with mosquitto.client("player") as player:
            playing = Playing("again2", speed=0.0, retained=True)
            await play(player, read_header(path), read_frames(path), playing, Passed())
        async with mosquitto.client("late") as bus:
            await bus.subscribe(["again2/#"])
            [only] = await heard(bus, 1)
            assert only == ("again2/v1/kept", b"value", 1)
            await bus.publish("again2/v1/kept", b"", qos=1, retain=True)
            await bus.flush()

    within(main())
