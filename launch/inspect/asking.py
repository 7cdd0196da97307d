"""Listening to the bus for a moment, to answer a question about what is there."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from twintier.broker.errors import LocalBusError
from twintier.launch.connection import Connection
from twintier.launch.exit_codes import ExitCode
from twintier.launch.inspect.connecting import is_up, say_away
from twintier.launch.inspect.projection import View, listen
from twintier.launch.problems import say
from twintier.launch.serve import run_until_signal
from twintier.protocol.errors import InvalidIdError
from twintier.protocol.topics import prefix


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom to listen to, and for how long."""

    connection: Connection
    root: str
    seconds: float


def run_asking(asked: Asked, answer: Callable[[View], int]) -> int:
    """Listen, answer, end; the exit code says whether a broker answered.

    Args:
        asked: whom.
        answer: prints what was asked for, and returns the exit code.
    """
    return run_until_signal(lambda stop: _ask(asked, answer, stop))


async def _ask(asked: Asked, answer: Callable[[View], int], stop: asyncio.Event) -> int:
    view = View()
    try:
        bus = asked.connection.watcher()
        prefix(asked.root)
    except (LocalBusError, InvalidIdError) as error:
        return say(error, ExitCode.USAGE)

    def unreadable(_topic: str) -> None:
        view.unreadable += 1

    listening = asyncio.ensure_future(listen(bus, asked.root, view.take, unreadable))
    try:
        if not await is_up(bus, stop):
            return say_away(asked.connection.broker_url, stop)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), asked.seconds)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return answer(view)
