"""One side of one contender of `bench bus`, as a process of its own.

`python -m bench._bus_peer CONTENDER SIDE URL SIZE COUNT RATE`: the reader prints `ready`, and at
the end a line of JSON, as the writer does, which starts at once. A rate of 0 is as fast as the
window allows. Every payload carries the sender's monotonic clock, which both processes share.
"""

import asyncio
import json
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import aiomqtt
import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from twintier.broker.bus import WINDOW
from twintier.broker.mqtt.bus import MqttBus, parse_url
from twintier.broker.mqtt.link import MqttSettings
from twintier.protocol.address import Address
from twintier.protocol.ids import CategoryKey, EdgeId, InmfId, PlvnId
from twintier.protocol.messages import (
    MetaModelOffered,
    ModelDispatched,
    OutcomeSum,
    PerformanceReported,
    TrajectoriesReported,
)
from twintier.protocol.messages.base import Message
from twintier.protocol.tensors import Tensors
from twintier.runtime.delivery.decoder import Decoder
from twintier.runtime.delivery.encoder import Encoder
from twintier.runtime.effects import Publish
from twintier.runtime.logs import configure_logs

TOPIC = "twintier/v1/plvn/p1/up/bench"
STAMP = struct.Struct("<q")
OVERHEAD_BYTES = 700
ADDRESS = Address(plvn=PlvnId("p1"), edge=EdgeId("e1"), inmf=InmfId("coop-perception"))


@dataclass(frozen=True)
class Load:
    """What is sent."""

    url: str
    size: int
    count: int
    rate: float


class Arrivals:
    """Times of arrival, and each message's age."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._first_ns = 0
        self._ages_ns: list[int] = []

    def note(self, sent_ns: int) -> bool:
        """A message has arrived; returns whether it was the last."""
        now = time.monotonic_ns()
        self._first_ns = self._first_ns or now
        self._ages_ns.append(now - sent_ns)
        return len(self._ages_ns) >= self._count

    def figures(self) -> dict[str, float]:
        """Rate after the first message, and percentiles of age."""
        elapsed_s = (time.monotonic_ns() - self._first_ns) / 1e9
        ages_ms = np.asarray(self._ages_ns) / 1e6
        return {
            "msg_per_s": (self._count - 1) / elapsed_s,
            "p50_ms": float(np.percentile(ages_ms, 50)),
            "p99_ms": float(np.percentile(ages_ms, 99)),
        }


class Work:
    """Processor time of this process since a moment, for each message."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._start_s = time.process_time()

    def figures(self) -> dict[str, float]:
        """Microseconds a message, both in Python and in the kernel."""
        return {"cpu_us": (time.process_time() - self._start_s) / self._count * 1e6}


def finish(*parts: Arrivals | Work) -> None:
    """Tell the parent."""
    figures: dict[str, float] = {}
    for part in parts:
        figures |= part.figures()
    print(json.dumps(figures), flush=True)


def due_times(load: Load) -> Iterator[float]:
    """When each message is due, in monotonic seconds; at once where there is no rate."""
    start = time.monotonic()
    for number in range(load.count):
        yield start + number / load.rate if load.rate else 0.0


def raw_payload(size: int) -> bytes:
    """Bytes of the size with the clock at their end."""
    return bytes(size - STAMP.size) + STAMP.pack(time.monotonic_ns())


def stamp_of(payload: bytes) -> int:
    """The clock at the end of a raw payload."""
    (sent_ns,) = STAMP.unpack_from(payload, len(payload) - STAMP.size)
    return int(sent_ns)


def paho_client(load: Load) -> paho.Client:
    """A client in a thread of its own, with the same window as ours."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.max_inflight_messages_set(WINDOW)
    client.connect(*parse_url(load.url))
    return client


def paho_reader(load: Load) -> None:
    """Raw paho: a callback in the network thread."""
    arrivals, done, subscribed = Arrivals(load.count), threading.Event(), threading.Event()

    def on_message(_client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        if arrivals.note(stamp_of(bytes(message.payload))):
            done.set()

    client = paho_client(load)
    client.on_message = on_message
    client.on_subscribe = lambda *_: subscribed.set()
    client.loop_start()
    client.subscribe(TOPIC, 1)
    subscribed.wait()
    print("ready", flush=True)
    work = Work(load.count)
    done.wait()
    finish(arrivals, work)
    client.disconnect()


def paho_writer(load: Load) -> None:
    """Raw paho: publishes from the main thread while the network thread sends."""
    places, acknowledged, left = threading.Semaphore(WINDOW), threading.Event(), [load.count]

    def on_publish(*_: object) -> None:
        places.release()
        left[0] -= 1
        if left[0] == 0:
            acknowledged.set()

    client = paho_client(load)
    client.on_publish = on_publish
    client.loop_start()
    work = Work(load.count)
    for due in due_times(load):
        time.sleep(max(0.0, due - time.monotonic()))
        places.acquire()
        client.publish(TOPIC, raw_payload(load.size), 1)
    acknowledged.wait()
    finish(work)
    client.disconnect()


async def aiomqtt_reader(load: Load) -> None:
    """Plain aiomqtt, as its guide shows."""
    host, port = parse_url(load.url)
    arrivals = Arrivals(load.count)
    async with aiomqtt.Client(host, port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe(TOPIC, 1)
        print("ready", flush=True)
        work = Work(load.count)
        async for message in client.messages:
            if arrivals.note(stamp_of(message.payload)):
                break
        finish(arrivals, work)


async def aiomqtt_writer(load: Load) -> None:
    """Plain aiomqtt: awaits each publish."""
    host, port = parse_url(load.url)
    async with aiomqtt.Client(host, port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        work = Work(load.count)
        for due in due_times(load):
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await client.publish(TOPIC, raw_payload(load.size), 1)
        finish(work)


def typed_message(size: int) -> tuple[Callable[[], Message], type[Message]]:
    """A maker of messages whose bytes on the wire have about the size, and their class."""
    elements = max(1, (size - OVERHEAD_BYTES) // 4)
    values = np.linspace(-1, 1, elements, dtype=np.float32)
    if size < 2 * OVERHEAD_BYTES:
        return _performance, PerformanceReported
    if size < 1_000_000:
        return lambda: _trajectories(values), TrajectoriesReported
    return lambda: _meta_model(values), MetaModelOffered


def _performance() -> Message:
    return PerformanceReported(
        policy="individual_model",
        model_version=3,
        slot_first=time.monotonic_ns() % 10**9,
        slots=75,
        reward_sum=101.5,
        outcomes=(
            OutcomeSum(name="infeasible", total=0.0),
            OutcomeSum(name="mode_changes", total=3.0),
        ),
    )


def _trajectories(values: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> Message:
    return TrajectoriesReported(
        policy="individual_model",
        model_version=3,
        batch=1,
        slot_first=75,
        schema_id="bench",
        slots=Tensors.pack({"reward": values}),
    )


def _meta_model(values: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> Message:
    return MetaModelOffered(
        inmf=InmfId("coop-perception"),
        category=CategoryKey(""),
        version=1,
        model="0" * 64,
        schema_id="bench",
        parameters=Tensors.pack({"init": values}),
    )


async def typed_reader(load: Load) -> None:
    """Our bus with everything that a runtime does to a delivery before its core sees it."""
    arrivals, decoder = Arrivals(load.count), Decoder("twintier")
    async with MqttBus(load.url, MqttSettings("bench-reader")) as bus:
        await bus.subscribe(["twintier/v1/#"])
        print("ready", flush=True)
        work = Work(load.count)
        async for delivery in bus.deliveries():
            received = decoder.decode(delivery)
            now = time.time()
            assert decoder.is_due(received.envelope, now, retain=delivery.retain)
            await delivery.ack()
            if arrivals.note(received.envelope.sim_ts_ns or 0):
                break
        finish(arrivals, work)


async def typed_writer(load: Load) -> None:
    """Our bus with all that a runtime does to an effect; the clock rides as simulated time."""
    make, kind = typed_message(load.size)
    down = kind in {MetaModelOffered, ModelDispatched}
    encoder = (
        Encoder("cloud", "cloud", "b1", root="twintier", clock_id="bench")
        if down
        else Encoder("plvn", "p1", "b1", root="twintier", clock_id="bench")
    )
    async with MqttBus(load.url, MqttSettings("bench-writer")) as bus:
        work = Work(load.count)
        for due in due_times(load):
            await asyncio.sleep(max(0.0, due - time.monotonic())) if load.rate else None
            effect = Publish(make(), ADDRESS, sim_time_s=time.monotonic_ns() / 1e9)
            outgoing = encoder.encode(effect, time.time())
            await bus.publish(
                outgoing.topic, outgoing.payload, qos=outgoing.qos, ttl_s=outgoing.ttl_s
            )
        await bus.flush()
        finish(work)


def main() -> None:
    """Run one side."""
    contender, side, url, size, count, rate = sys.argv[1:7]
    configure_logs(level="warning")
    load = Load(url, int(size), int(count), float(rate))
    match contender, side:
        case "paho", "reader":
            paho_reader(load)
        case "paho", "writer":
            paho_writer(load)
        case "aiomqtt", "reader":
            asyncio.run(aiomqtt_reader(load))
        case "aiomqtt", "writer":
            asyncio.run(aiomqtt_writer(load))
        case "twintier", "reader":
            asyncio.run(typed_reader(load))
        case "twintier", "writer":
            asyncio.run(typed_writer(load))
        case _:
            from bench._bus_faststream import read, write  # noqa: PLC0415  # an extra

            asyncio.run((read if side == "reader" else write)(load))


if __name__ == "__main__":
    main()
