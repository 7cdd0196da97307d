"""`twintier watch`: messages as they pass, decoded, a line each."""

import asyncio
import json
import time

from twintier.broker.bus import Delivery
from twintier.broker.errors import LocalBusError
from twintier.broker.mqtt.bus import MqttBus
from twintier.launch.connection import Connection
from twintier.launch.exit_codes import ExitCode
from twintier.launch.inspect.connecting import filter_below, is_up, say_away
from twintier.launch.inspect.output import literal
from twintier.launch.problems import say
from twintier.launch.serve import run_until_signal, unless_stopped
from twintier.protocol.codec import Decoded, decode
from twintier.protocol.errors import InvalidIdError, RemoteProtocolError

BLOB_LIMIT = 48
LINE_LIMIT = 240


def run_watch(
    connection: Connection, root: str, topic_filter: str, *, as_json: bool, count: int
) -> int:
    """Print messages until a signal, or until `count` have passed."""
    return run_until_signal(
        lambda stop: _watch(connection, topic_filter, root, as_json, count, stop)
    )


async def _watch(  # noqa: PLR0917  # called in one place
    connection: Connection,
    topic_filter: str,
    root: str,
    as_json: bool,  # noqa: FBT001
    count: int,
    stop: asyncio.Event,
) -> int:
    try:
        bus = connection.watcher()
        await bus.subscribe([filter_below(root, topic_filter)])
    except (LocalBusError, InvalidIdError) as error:
        return say(error, ExitCode.USAGE)
    await bus.connect()
    try:
        if not await is_up(bus, stop):
            return say_away(connection.broker_url, stop)
        await unless_stopped(_print(bus, root, as_json=as_json, count=count), stop)
    finally:
        await bus.close()
    return ExitCode.OK


async def _print(bus: MqttBus, root: str, *, as_json: bool, count: int) -> None:
    printed = 0
    async for delivery in bus.deliveries():
        print(line_of(delivery, root, as_json=as_json), flush=True)
        await delivery.ack()
        printed += 1
        if printed == count:
            return


def line_of(delivery: Delivery, root: str, *, as_json: bool) -> str:
    """One message as a line; what cannot be read is shown with the reason."""
    try:
        decoded = decode(delivery.payload, delivery.topic, root)
    except RemoteProtocolError as error:
        unreadable = {"topic": delivery.topic, "refused": error.code, "reason": error.reason}
        if as_json:
            return json.dumps(unreadable)
        line = f"{_clock()} {delivery.topic} REFUSED {error.code}: {error.reason}"
        return literal(line)[:LINE_LIMIT]
    return json.dumps(_fields(delivery, decoded)) if as_json else _text(delivery, decoded)


def _fields(delivery: Delivery, decoded: Decoded) -> dict[str, object]:
    envelope = decoded.envelope
    return {
        "topic": delivery.topic,
        "type": envelope.type,
        "src": envelope.src,
        "seq": envelope.seq,
        "fence": envelope.fence,
        "ts_ns": envelope.ts_ns,
        "sim_ts_ns": envelope.sim_ts_ns,
        "body": _readable(decoded.message.model_dump()),
    }


def _text(delivery: Delivery, decoded: Decoded) -> str:
    body = ", ".join(
        f"{name}={_readable(value)}" for name, value in decoded.message.model_dump().items()
    )
    line = literal(f"{_clock()} {delivery.topic} {decoded.envelope.type} {body}")
    return line if len(line) <= LINE_LIMIT else f"{line[: LINE_LIMIT - 1]}…"


def _readable(value: object) -> object:
    match value:
        case bytes():
            return f"<{len(value)} bytes>" if len(value) > BLOB_LIMIT else value.hex()
        case dict():
            return {name: _readable(part) for name, part in value.items()}
        case list() | tuple():
            return [_readable(part) for part in value]
        case _:
            return value


def _clock() -> str:
    return time.strftime("%H:%M:%S")
