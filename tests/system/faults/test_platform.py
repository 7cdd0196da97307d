"""The whole platform as processes, each killed with SIGKILL and started again: the loop goes on."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.brokers import Server, broker_of
from twintier.broker.mqtt.bus import MqttBus
from twintier.broker.mqtt.link import MqttSettings
from twintier.broker.servers.mosquitto import find_mosquitto
from twintier.protocol.codec import Decoded, decode
from twintier.protocol.errors import RemoteProtocolError
from twintier.protocol.messages import (
    CloudStatusReported,
    HealthReported,
    ModelApplied,
    PerformanceReported,
    TwinRegistered,
)

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]
PATIENCE_S = 180.0
LEASE_S = 15.0
PLVNS = ("toronto-highway-1", "toronto-local-1")


@dataclass
class Watch:
    """What has passed on the bus so far, and a bell for whoever waits for more."""

    seen: list[Decoded] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self, bus: MqttBus) -> None:
        async for delivery in bus.deliveries():
            await delivery.ack()
            try:
                self.seen.append(decode(delivery.payload, delivery.topic))
            except RemoteProtocolError:
                continue
            self.more.set()

    async def until(self, found: Callable[[Sequence[Decoded]], bool], since: int = 0) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not found(self.seen[since:]):
                self.more.clear()
                await self.more.wait()


def acting(seen: Sequence[Decoded]) -> bool:
    """Whether every PLVN has reported a block of slots under an individual model."""
    acted = {
        d.address.plvn
        for d in seen
        if isinstance(d.message, PerformanceReported) and d.message.policy == "individual_model"
    }
    return acted >= set(PLVNS)


def answered(seen: Sequence[Decoded]) -> bool:
    return {d.address.plvn for d in seen if isinstance(d.message, ModelApplied)} >= set(PLVNS)


def hosted(seen: Sequence[Decoded]) -> bool:
    return {d.address.plvn for d in seen if isinstance(d.message, TwinRegistered)} >= set(PLVNS)


def online(seen: Sequence[Decoded]) -> bool:
    return any(
        isinstance(m := d.message, CloudStatusReported) and m.phase == "online" for d in seen
    )


def settled(seen: Sequence[Decoded]) -> bool:
    """Whether every agent's last word is that nothing or little waits in its outbox."""
    kept: dict[str, int] = {}
    for decoded in seen:
        if isinstance(decoded.message, HealthReported) and decoded.message.role == "plvn":
            counters = {c.name: c.count for c in decoded.message.counters}
            kept[decoded.envelope.sender] = counters.get("uploads_kept", 0)
    return set(kept) >= set(PLVNS) and all(count <= 20 for count in kept.values())


class Processes:
    """Roles by hand, on a broker that may be killed as well."""

    def __init__(self, server: Server, state: Path) -> None:
        self.server = server
        self.state = state
        self.alive: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, role: str) -> None:
        arguments = {
            "cloud": ["cloud", "--expected-plvns", "2", "--planning-s", "12", "--n-min", "2"],
            "edge": ["edge", "edge-1"],
            "agent": ["agent", "--plvns", "2", "--speed", "50", "--constant"],
        }[role]
        common = ["--url", self.server.running.url, "--state", str(self.state)]
        with (self.state / f"{role}.log").open("ab") as log:
            self.alive[role] = subprocess.Popen(
                [sys.executable, "-m", "twintier", "up", *arguments, *common],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

    def kill(self, role: str) -> None:
        if role == "broker":
            self.server.kill()
            self.server.restart()
            return
        self.alive[role].kill()
        self.alive[role].wait()
        self.start(role)

    def end(self) -> None:
        for process in self.alive.values():
            process.kill()
            process.wait()


async def survive(processes: Processes, check: Callable[[Watch], Awaitable[None]]) -> None:
    watch = Watch()
    async with AsyncExitStack() as stack:
        bus = MqttBus(processes.server.running.url, MqttSettings("watcher"))
        await bus.subscribe(["twintier/v1/#"])
        await stack.enter_async_context(bus)
        listening = asyncio.create_task(watch.listen(bus))
        stack.callback(listening.cancel)
        for role in ("cloud", "edge", "agent"):
            processes.start(role)
        await watch.until(acting)
        await check(watch)


def test_every_process_is_killed_in_turn_and_the_loop_goes_on(tmp_path: Path) -> None:
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")

    async def check(watch: Watch) -> None:
        # An agent that lost everything in memory asks for its model and acts by it again.
        since = len(watch.seen)
        before = {d.envelope.boot for d in watch.seen}
        processes.kill("agent")
        await watch.until(answered, since)
        await watch.until(lambda seen: acting(of_new_boots(seen, before)), since)
        assert baseline_s(of_new_boots(watch.seen[since:], before)) < LEASE_S
        # An edge server that was away takes its twins back; agents act all the while.
        since = len(watch.seen)
        processes.kill("edge")
        await watch.until(hosted, since)
        await watch.until(settled, since)
        assert baseline_blocks(watch.seen[since:]) == 0
        # The cloud twin comes back with its library; nobody begins anew.
        since = len(watch.seen)
        processes.kill("cloud")
        await watch.until(online, since)
        await watch.until(acting, since)
        assert baseline_blocks(watch.seen[since:]) == 0
        # The broker comes back; what was accepted meanwhile arrives.
        since = len(watch.seen)
        processes.kill("broker")
        await watch.until(acting, since)
        await watch.until(settled, since)
        assert baseline_blocks(watch.seen[since:]) == 0
        assert [
            name for name, process in processes.alive.items() if process.poll() is not None
        ] == []

    with broker_of("mosquitto", tmp_path / "broker") as server:
        assert isinstance(server, Server)
        processes = Processes(server, tmp_path)
        try:
            asyncio.run(survive(processes, check))
        finally:
            processes.end()


def baseline_blocks(seen: Sequence[Decoded]) -> int:
    """Blocks of slots in which a PLVN acted by the baseline."""
    return sum(
        isinstance(d.message, PerformanceReported) and d.message.policy == "baseline" for d in seen
    )


def of_new_boots(seen: Sequence[Decoded], before: Collection[str]) -> list[Decoded]:
    """Without what processes of these boots had sent, or kept in their outboxes, when killed."""
    return [d for d in seen if d.envelope.boot not in before]


def baseline_s(seen: Sequence[Decoded]) -> float:
    """Longest time, by their own clocks, from an agent's start to its first block under a model."""
    first: dict[str, int] = {}
    spans: dict[str, int] = {}
    for d in seen:
        if d.envelope.role != "plvn":
            continue
        started = first.setdefault(d.envelope.src, d.envelope.ts_ns)
        message = d.message
        if isinstance(message, PerformanceReported) and message.policy == "individual_model":
            spans.setdefault(d.envelope.src, d.envelope.ts_ns - started)
    return max(spans.values()) / 1e9
