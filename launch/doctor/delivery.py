"""The doctor's checks of delivery: round trip, retained values, offline queue, payload.

All of it below the probe's own root; what the broker was made to keep is taken back at the end.
"""

import asyncio
import statistics
from collections.abc import Sized
from contextlib import suppress
from typing import Protocol

from twintier.broker.errors import BrokerError, UnavailableError
from twintier.broker.mqtt.bus import MqttBus
from twintier.broker.mqtt.link import LinkEvents
from twintier.launch.doctor.findings import Finding
from twintier.launch.doctor.probe import CONNECT_S, RETAINED_TTL_S, Probe, arrivals
from twintier.protocol.codec import CHUNK_BYTES

ROUND_TRIPS = 20
ECHO_WAIT_S = 3.0
DELAYED_S = 0.035
"""What a packet waits for that Nagle's rule holds back: a delayed acknowledgement takes 40 ms."""
QUEUED = 1_200
"""Past the limit of 1,000 that Mosquitto has unless told otherwise, with the 20 under way."""
IDLE_S = 1.5
NEEDED_BYTES = CHUNK_BYTES + 1024
"""A chunk in its envelope: the largest that the platform sends of large messages."""
TRIED_BYTES = (NEEDED_BYTES, 1 << 20, 1 << 22, 1 << 24)
CLOSE_ENOUGH = 1.05
QUEUE_FIX = "max_queued_messages 0    (in mosquitto.conf; then restart Mosquitto)"


class _HasPayload(Protocol):
    @property
    def payload(self) -> Sized: ...


async def check_round_trip(probe: Probe) -> list[Finding]:
    """QoS 1 to ourselves and back, one after the other."""
    loop, times = asyncio.get_running_loop(), []
    async with asyncio.timeout(CONNECT_S + ROUND_TRIPS * ECHO_WAIT_S), probe.bus("echo") as bus:
        await bus.subscribe([f"{probe.probe_root}/echo/+"])
        for number in range(ROUND_TRIPS):
            began = loop.time()
            await bus.publish(f"{probe.probe_root}/echo/{number}", b"", qos=1, ttl_s=60)
            if not await arrivals(bus, 1, ECHO_WAIT_S):
                return [_no_echo(probe, bus)]
            times.append(loop.time() - began)
    median_s, longest_s = statistics.median(times), max(times)
    seen = f"QoS 1 there and back in {1000 * median_s:.1f} ms, at most {1000 * longest_s:.1f} ms"
    found = Finding("round trip", "ok", seen)
    if median_s - 4 * probe.connect_s < DELAYED_S:
        return [found]
    own = "set_tcp_nodelay true    (in mosquitto.conf; then restart Mosquitto)"
    fix = own if probe.is_mosquitto else "switch TCP_NODELAY on at the broker, or move it nearer"
    limit = f"below {1000 * DELAYED_S:.0f} ms over the network's own"
    return [Finding("round trip", "warning", seen, limit, fix)]


def _no_echo(probe: Probe, bus: MqttBus) -> Finding:
    probe.may_publish = False
    by_code = ", and says so" if bus.refused else ""
    seen = f"the broker lets {probe.connection.watching_as} not write or read below "
    seen += (
        f"{probe.probe_root}/{by_code}, or takes over {ECHO_WAIT_S:.0f} s; delivery was not tried"
    )
    fix = "run it on the broker without access rules, or give an identity of yours "
    fix += "`topic readwrite doctor/#` and name it: --identity ID --probe-root doctor"
    return Finding("round trip", "warning", seen, "", fix)


async def check_retained(probe: Probe) -> list[Finding]:
    """Whether every retained value comes to somebody who subscribes, even far more than 1,000."""
    topics = [f"{probe.probe_root}/kept/{number}" for number in range(QUEUED)]
    async with probe.bus("keeper") as keeper:
        try:
            await _retain(keeper, topics, b"x")
            async with probe.bus("reader") as reader:
                await reader.subscribe([f"{probe.probe_root}/kept/+"])
                came = await arrivals(reader, QUEUED, IDLE_S)
        finally:
            with suppress(BrokerError, TimeoutError):
                await _retain(keeper, topics, b"")
    seen = f"{len(came)} of {QUEUED} retained values came to a new subscriber"
    if len(came) == QUEUED:
        return [Finding("retained", "ok", seen)]
    other = "raise what the broker queues for one client, and how much it sends ahead"
    fix = QUEUE_FIX if probe.is_mosquitto else other
    return [Finding("retained", "problem", seen, "all of them", fix)]


async def _retain(keeper: MqttBus, topics: list[str], payload: bytes) -> None:
    """Make the broker keep values, or with an empty payload forget them."""
    async with asyncio.timeout(30):
        for topic in topics:
            await keeper.publish(topic, payload, qos=1, retain=True, ttl_s=RETAINED_TTL_S)
        await keeper.flush()


async def check_queue(probe: Probe) -> list[Finding]:
    """Whether a client that was away gets everything, even far more than 1,000 messages."""
    topic = f"{probe.probe_root}/queue"
    try:
        async with probe.bus("sleeper", keep_session=True) as sleeper:
            await sleeper.subscribe([f"{topic}/+"])
        async with asyncio.timeout(30), probe.bus("sender") as sender:
            for number in range(QUEUED):
                await sender.publish(f"{topic}/{number}", b"x", qos=1, ttl_s=RETAINED_TTL_S)
            await sender.flush()
        async with probe.bus("sleeper", keep_session=True) as sleeper:
            came = await arrivals(sleeper, QUEUED, IDLE_S)
    finally:
        with suppress(TimeoutError):  # a clean end takes the session with it
            async with asyncio.timeout(CONNECT_S), probe.bus("sleeper"):
                pass
    seen = f"{len(came)} of {QUEUED} messages came to a client that was away"
    if len(came) == QUEUED:
        return [Finding("offline queue", "ok", seen)]
    other = "raise what the broker queues for a client that is away"
    fix = QUEUE_FIX if probe.is_mosquitto else other
    return [Finding("offline queue", "problem", seen, "all of them", fix)]


async def check_payload(probe: Probe) -> list[Finding]:
    """The largest payload that passes, found by sending past it."""
    passed, refused = 0, 0
    for size in TRIED_BYTES:
        if not await _passes(probe, size):
            refused = size
            break
        passed = size
    while refused and passed and refused / passed > CLOSE_ENOUGH:
        middle = (passed + refused) // 2
        if await _passes(probe, middle):
            passed = middle
        else:
            refused = middle
    limit = f"at least {_kib(NEEDED_BYTES)}"
    if not passed:
        return [_too_small(probe, limit)]
    bound = "passes, the largest that was tried" if not refused else "passes, not much more"
    return [Finding("payload", "ok", f"a payload of {_kib(passed)} {bound}", limit)]


def _too_small(probe: Probe, limit: str) -> Finding:
    seen = f"a payload of {_kib(NEEDED_BYTES)}, a chunk of ours, does not pass"
    own = "max_packet_size 0 and message_size_limit 0    (in mosquitto.conf; then restart it)"
    other = f"raise the broker's limit of a message above {NEEDED_BYTES} bytes"
    return Finding("payload", "problem", seen, limit, own if probe.is_mosquitto else other)


async def _passes(probe: Probe, size: int) -> bool:
    """Whether so many bytes come back to us over one connection."""
    came: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def arrived(message: _HasPayload) -> None:
        if not came.done():
            came.set_result(len(message.payload))

    link = probe.link("payload", LinkEvents(arrived, lambda _mid, _taken: None))
    topic = f"{probe.probe_root}/payload"
    try:
        async with link:
            await link.subscribe([topic])
            link.send(topic, bytes(size), 0, retain=False, ttl_s=60)
            lost = asyncio.ensure_future(link.lost())
            either: list[asyncio.Future[int] | asyncio.Task[None]] = [came, lost]
            await asyncio.wait(either, timeout=3 + size / 2e6, return_when=asyncio.FIRST_COMPLETED)
            lost.cancel()
            await asyncio.gather(lost, return_exceptions=True)
    except UnavailableError:
        return False
    return came.done() and came.result() == size


def _kib(size: int) -> str:
    return f"{size / 1024:,.0f} KiB"
