"""What a command that listens does first."""

import asyncio

import pytest

from tests.support.autojump import run
from twintier.broker.errors import LocalBusError
from twintier.broker.memory import MemoryBus, MemoryHub
from twintier.launch.inspect.connecting import filter_below, is_up, say_away
from twintier.protocol.errors import InvalidIdError


@pytest.mark.parametrize("topic_filter", ["#", "plvn/+/up/#", "plvn/x", "+/+"])
def test_a_filter_stands_below_the_root(topic_filter: str) -> None:
    assert filter_below("twintier", topic_filter) == f"twintier/v1/{topic_filter}"


@pytest.mark.parametrize("topic_filter", ["", "a#b", "#/x", "a/#/b", "a+", "x/+y/z", "x\0"])
def test_what_is_no_filter_is_refused_with_how_it_is_written(topic_filter: str) -> None:
    with pytest.raises(LocalBusError, match=r"is no MQTT filter: .*; write plvn/\+/up/#, say"):
        filter_below("twintier", topic_filter)


def test_a_root_of_two_levels_is_refused() -> None:
    with pytest.raises(InvalidIdError, match="'a/b' does not match"):
        filter_below("a/b", "#")


def test_a_broker_is_waited_for_until_a_signal_or_five_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def scenario() -> None:
        stop, bus, loop = asyncio.Event(), MemoryBus(MemoryHub()), asyncio.get_running_loop()
        assert not await is_up(bus, stop)
        assert loop.time() == pytest.approx(5.0)
        assert say_away("mqtt://h:1", stop) == 3
        loop.call_later(0.5, stop.set)
        assert not await is_up(bus, stop)
        assert loop.time() == pytest.approx(5.5)
        assert say_away("mqtt://h:1", stop) == 1

    run(scenario())
    assert "no broker answers at mqtt://h:1" in capsys.readouterr().err
