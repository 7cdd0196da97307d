"""FastStream's MQTT broker as a contender of `bench bus`, which imports it only then.

As its guide shows: a typed subscriber and `publish`; here with as many publishes under way as the
other contenders have unacknowledged messages. FastStream has no place for arrays in a model, so
messages of 40 kB and more are bytes, with nothing to check.
"""

import asyncio
import time
from logging import WARNING

from faststream import AckPolicy
from faststream.mqtt import MQTTBroker, QoS
from pydantic import BaseModel

from bench._bus_peer import (
    TOPIC,
    Arrivals,
    Load,
    Work,
    due_times,
    finish,
    raw_payload,
    stamp_of,
)
from twintier.broker.bus import WINDOW

TYPED_BYTES = 1400
"""Smaller messages are models."""


class Performance(BaseModel):
    """The same fields as our message of 200 bytes, and the sender's clock."""

    policy: str
    model_version: int
    slot_first: int
    slots: int
    reward_sum_j: float
    infeasible_slots: int
    mode_changes: int
    sent_ns: int


def _performance() -> Performance:
    return Performance(
        policy="individual_model",
        model_version=3,
        slot_first=time.monotonic_ns() % 10**9,
        slots=75,
        reward_sum_j=101.5,
        infeasible_slots=0,
        mode_changes=3,
        sent_ns=time.monotonic_ns(),
    )


async def read(load: Load) -> None:
    """Count messages in a handler, which acknowledges them when it returns."""
    arrivals, done = Arrivals(load.count), asyncio.Event()

    def note(sent_ns: int) -> None:
        if arrivals.note(sent_ns):
            done.set()

    async def take_model(message: Performance) -> None:
        note(message.sent_ns)

    async def take_bytes(message: bytes) -> None:
        note(stamp_of(message))

    broker = MQTTBroker(load.url, log_level=WARNING, logger=None)
    handler = take_model if load.size < TYPED_BYTES else take_bytes
    broker.subscriber(TOPIC, qos=QoS.AT_LEAST_ONCE, ack_policy=AckPolicy.ACK)(handler)
    async with broker:
        await broker.start()
        print("ready", flush=True)
        work = Work(load.count)
        await done.wait()
        finish(arrivals, work)


async def write(load: Load) -> None:
    """Publish with a window of awaited publishes."""
    places = asyncio.Semaphore(WINDOW)
    broker = MQTTBroker(load.url, log_level=WARNING, logger=None)

    async def publish() -> None:
        typed = load.size < TYPED_BYTES
        message = _performance() if typed else raw_payload(load.size)
        await broker.publish(message, TOPIC, qos=QoS.AT_LEAST_ONCE)
        places.release()

    async with broker:
        work = Work(load.count)
        async with asyncio.TaskGroup() as group:
            for due in due_times(load):
                if load.rate:
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                await places.acquire()
                group.create_task(publish())
        finish(work)
