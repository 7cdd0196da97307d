"""`twintier doctor`: whether broker, peers and machine are such that nothing is lost or unsafe.

Each check is one function in a table. What a check publishes goes below a root of the doctor's own
and is taken back; on the platform's own root it only listens.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass

from twintier.broker.bus import Delivery
from twintier.broker.errors import BrokerError, LocalBusError
from twintier.launch.doctor.access import SECURE_FIX, check_access, identity_of, may_read
from twintier.launch.doctor.delivery import (
    check_payload,
    check_queue,
    check_retained,
    check_round_trip,
)
from twintier.launch.doctor.findings import Finding, as_fields, as_lines, worst
from twintier.launch.doctor.listening import Heard, findings_of
from twintier.launch.doctor.machine import check_certificates, check_disk
from twintier.launch.doctor.probe import CONNECT_S, Probe
from twintier.launch.doctor.reach import check_mqtt, check_port
from twintier.launch.exit_codes import ExitCode
from twintier.launch.problems import say
from twintier.launch.serve import run_until_signal
from twintier.protocol.catalogue import BY_NAME
from twintier.protocol.codec import decode
from twintier.protocol.errors import InvalidIdError, RemoteProtocolError
from twintier.protocol.topics import prefix

CHECK_S = 90.0
"""Longest that one check may take."""
Now = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that the doctor looks at."""

    name: str
    look: Callable[[Probe], Awaitable[list[Finding]]]
    publishes: bool = False
    """Whether it needs to write below the probe's root."""


async def check_platform(probe: Probe, now: Now) -> list[Finding]:
    """What the platform's own messages tell in a few seconds."""
    heard = Heard()
    bus = probe.bus("listener")
    try:
        await bus.subscribe([f"{prefix(probe.root)}#"])
        await bus.connect()
        async with asyncio.timeout(CONNECT_S):
            await bus.wait_up()
        await _listen(bus.deliveries(), heard, probe, now)
    finally:
        await bus.close()
    return [*findings_of(heard, probe.listen_s), *_read_too_much(heard, probe)]


async def _listen(coming: AsyncIterator[Delivery], heard: Heard, probe: Probe, now: Now) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(probe.listen_s):
            async for delivery in coming:
                try:
                    decoded = decode(delivery.payload, delivery.topic, probe.root)
                except RemoteProtocolError:
                    heard.unreadable += 1
                else:
                    heard.take(decoded, delivery.topic, now(), retained=delivery.retain)
                await delivery.ack()


def _read_too_much(heard: Heard, probe: Probe) -> list[Finding]:
    kinds = [name for name in sorted(heard.kinds) if not may_read(probe, BY_NAME[name])]
    if not kinds:
        return []
    seen = f"{identity_of(probe)} reads {len(kinds)} kinds of messages, such as {kinds[0]}"
    return [Finding("reading", "warning", seen, "what the catalogue gives a role", SECURE_FIX)]


CHECKS: tuple[Check, ...] = (
    Check("round trip", check_round_trip),
    Check("retained", check_retained, publishes=True),
    Check("offline queue", check_queue, publishes=True),
    Check("payload", check_payload, publishes=True),
    Check("access", check_access),
    Check("listening", lambda probe: check_platform(probe, time.time)),
)
ALWAYS: tuple[Check, ...] = (
    Check("disk", check_disk),
    Check("certificates", check_certificates),
)


def run_doctor(probe: Probe, *, as_json: bool, reach_only: bool = False) -> int:
    """Look and print what was found; 0 if nothing is a problem.

    Args:
        probe: where, and as whom.
        as_json: for programs.
        reach_only: look only whether the broker is reached and answers.
    """
    look = reach if reach_only else examine
    try:
        prefix(probe.root)
        prefix(probe.probe_root)
        probe.settings("check")
        _ = probe.address
    except (LocalBusError, InvalidIdError) as error:
        return say(error, ExitCode.USAGE)
    return run_until_signal(lambda stop: _doctor(look(probe), stop, as_json=as_json))


async def _doctor(
    look: Coroutine[None, None, list[Finding]], stop: asyncio.Event, *, as_json: bool
) -> int:
    looking, stopping = asyncio.ensure_future(look), asyncio.ensure_future(stop.wait())
    await asyncio.wait({looking, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not looking.done():
        looking.cancel()  # its checks take back what they have published
        await asyncio.gather(looking, return_exceptions=True)
        return say("stopped before everything was looked at", ExitCode.FAILED)
    stopping.cancel()
    findings = looking.result()
    lines = json.dumps(as_fields(findings), indent=2) if as_json else "\n".join(as_lines(findings))
    print(lines)
    return ExitCode.UNHEALTHY if worst(findings) == "problem" else ExitCode.OK


async def reach(probe: Probe) -> list[Finding]:
    """Whether the broker is there, speaks MQTT, and answers without delay."""
    findings = await _reach(probe)
    if worst(findings) != "problem":
        findings += await _look(CHECKS[0], probe)
    return findings


async def examine(probe: Probe) -> list[Finding]:
    """All findings, in the order of the table."""
    findings = await _reach(probe)
    if worst(findings) != "problem":
        for check in CHECKS:
            if probe.may_publish or not check.publishes:
                findings += await _look(check, probe)
    for check in ALWAYS:
        findings += await _look(check, probe)
    return findings


async def _reach(probe: Probe) -> list[Finding]:
    findings: list[Finding] = []
    for check in (Check("reach", check_port), Check("MQTT", check_mqtt)):
        findings += await _look(check, probe)
        if worst(findings) == "problem":
            break
    return findings


async def _look(check: Check, probe: Probe) -> list[Finding]:
    try:
        async with asyncio.timeout(CHECK_S):
            return await check.look(probe)
    except (BrokerError, TimeoutError, OSError) as error:
        seen = f"could not be looked at: {error or 'no answer in time'}"
        fix = "see the broker's log; run the doctor again"
        return [Finding(check.name, "problem", seen, "", fix)]
