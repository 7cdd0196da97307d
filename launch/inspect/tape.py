"""`twintier bus record` and `twintier bus replay`: the wire to a file and back."""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

from twintier.broker.errors import LocalBusError, UnavailableError
from twintier.broker.mqtt.bus import MqttBus
from twintier.broker.tape import (
    QOS0_LIMIT,
    Passed,
    Playing,
    TapeError,
    TapeHeader,
    TapeWriter,
    play,
    read_frames,
    read_header,
    record,
)
from twintier.launch.connection import Connection
from twintier.launch.exit_codes import ExitCode
from twintier.launch.problems import say
from twintier.launch.serve import run_until_signal
from twintier.protocol.errors import InvalidIdError
from twintier.protocol.topics import prefix

CONNECT_S = 5.0


@dataclass(frozen=True, slots=True)
class TapeOptions:
    """What `record` was asked for."""

    connection: Connection
    root: str
    topic_filter: str
    path: Path
    seconds: float | None = None
    count: int = 0


def run_record(options: TapeOptions) -> int:
    """Record until a signal, the time or the count is over."""
    return run_until_signal(lambda stop: _record(options, stop))


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What `replay` was asked for."""

    connection: Connection
    path: Path
    root: str | None
    """Of the topics that it is played on; None is the root that it was recorded on."""
    speed: float
    retained: bool


def run_replay(options: ReplayOptions) -> int:
    """Play a tape to its end, or until a signal."""
    return run_until_signal(lambda stop: _replay(options, stop))


async def _record(options: TapeOptions, stop: asyncio.Event) -> int:
    try:
        topics = f"{prefix(options.root)}{options.topic_filter}"
        bus = options.connection.watcher(qos0_limit=QOS0_LIMIT)
        tape = TapeWriter(options.path, TapeHeader(options.root, time.time_ns()))
    except FileExistsError:
        return say(f"{options.path} exists; choose another file for the tape", ExitCode.USAGE)
    except (LocalBusError, InvalidIdError, OSError) as error:
        return say(error, ExitCode.USAGE)
    taken, code = Passed(), int(ExitCode.FAILED)
    try:
        with tape:
            code = await _record_on(options, bus, tape, topics, taken, stop)
    finally:
        if code != ExitCode.OK and not taken.messages:  # it would only block the next try
            options.path.unlink(missing_ok=True)
    return code


async def _record_on(  # noqa: PLR0917  # called in one place
    options: TapeOptions,
    bus: MqttBus,
    tape: TapeWriter,
    topics: str,
    taken: Passed,
    stop: asyncio.Event,
) -> int:
    began_ns = time.monotonic_ns()

    def offset_ns() -> int:
        return time.monotonic_ns() - began_ns

    await bus.subscribe([topics])

    async def recording() -> None:
        print(f"recording {topics}; Ctrl-C ends it", file=sys.stderr, flush=True)
        await record(bus, tape, offset_ns, taken, count=options.count)

    url = options.connection.broker_url
    code = await _while_connected(bus, url, recording, stop, options.seconds)
    if code != ExitCode.OK:
        return code
    print(
        f"{taken.messages} messages, {taken.retained} of them retained from before, "
        f"{taken.payload_bytes} bytes of payload in {options.path}"
    )
    if bus.dropped:
        return say(f"{bus.dropped} QoS 0 messages came too fast for the disk", ExitCode.FAILED)
    return code


async def _replay(options: ReplayOptions, stop: asyncio.Event) -> int:
    try:
        header = read_header(options.path)
        playing = Playing(options.root or header.root, options.speed, options.retained)
        prefix(playing.root)
        bus = options.connection.watcher()
    except (LocalBusError, InvalidIdError, OSError, TapeError) as error:
        return say(error, ExitCode.USAGE)
    began, played = time.monotonic(), Passed()

    async def replaying() -> None:
        await play(bus, header, read_frames(options.path), playing, played)

    try:
        code = await _while_connected(bus, options.connection.broker_url, replaying, stop, None)
    except (TapeError, LocalBusError) as error:
        return say(f"after {played.messages} messages: {error}", ExitCode.USAGE)
    except UnavailableError as error:
        url, number = options.connection.broker_url, played.messages
        problem = f"the broker at {url} went away after {number} messages: {error}"
        return say(problem, ExitCode.NO_BROKER)
    if code == ExitCode.OK:
        seconds = time.monotonic() - began
        print(f"{played.messages} messages played below {playing.root}/ in {seconds:.1f} s")
    return code


async def _while_connected(
    bus: MqttBus,
    url: str,
    work: Callable[[], Coroutine[None, None, None]],
    stop: asyncio.Event,
    seconds: float | None,
) -> int:
    """Connect, work until the work, the time or a signal ends it, and close."""
    await bus.connect()
    try:
        async with asyncio.timeout(CONNECT_S):
            await bus.wait_up()
    except TimeoutError:
        problem = f"no broker answers at {url}; start one with `twintier up broker`"
        return say(problem, ExitCode.NO_BROKER)
    else:
        working = asyncio.ensure_future(work())
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait(
                [working, stopping], timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            stopping.cancel()
            working.cancel()
            ended = await asyncio.gather(working, stopping, return_exceptions=True)
        if isinstance(ended[0], Exception):
            raise ended[0]
    finally:
        await bus.close()
    return ExitCode.OK
