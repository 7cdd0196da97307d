"""What a command that listens does first: check its filter, and wait for the broker."""

import asyncio

from twintier.broker.bus import Bus
from twintier.broker.errors import LocalBusError
from twintier.launch.exit_codes import ExitCode
from twintier.launch.problems import say
from twintier.launch.serve import unless_stopped
from twintier.protocol.topics import prefix

CONNECT_S = 5.0


def filter_below(root: str, topic_filter: str) -> str:
    """An MQTT filter below a root's version.

    Raises:
        InvalidIdError: if the root is not one level.
        LocalBusError: if the filter is none.
    """
    *before, last = topic_filter.split("/")
    wrong = [level for level in before if "#" in level]
    wrong += [level for level in (*before, last) if "+" in level and level != "+"]
    wrong += [last] if "#" in last and last != "#" else []
    if wrong or not topic_filter or "\0" in topic_filter:
        raise LocalBusError(
            f"{topic_filter!r} is no MQTT filter: + stands for one whole level, # for all that "
            "follow; write plvn/+/up/#, say"
        )
    return f"{prefix(root)}{topic_filter}"


async def is_up(bus: Bus, stop: asyncio.Event) -> bool:
    """Whether a bus that connects is up; not if a signal or five seconds came first."""
    try:
        async with asyncio.timeout(CONNECT_S):
            await unless_stopped(bus.wait_up(), stop)
    except TimeoutError:
        return False
    return bus.up


def say_away(url: str, stop: asyncio.Event) -> int:
    """Say that no broker answers, unless a signal ended the wait; returns the exit code."""
    if stop.is_set():
        return say("stopped before a broker answered; run it again", ExitCode.FAILED)
    problem = f"no broker answers at {url}; start one with `twintier up broker`"
    return say(problem, ExitCode.NO_BROKER)
