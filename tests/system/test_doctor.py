"""The doctor on real brokers: with our configuration, with defaults, and where nobody answers."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.brokers import Server, broker_of
from tests.support.peers import Peer
from tests.support.toy import status
from twintier.broker.certs.folder import Identities, create
from twintier.broker.mqtt.bus import MqttBus
from twintier.broker.mqtt.link import MqttSettings
from twintier.broker.servers.mosquitto import Secured, find_mosquitto, start_mosquitto
from twintier.broker.servers.process import answers_connect, free_port, start, stop
from twintier.launch.connection import Connection
from twintier.launch.doctor.delivery import check_round_trip
from twintier.launch.doctor.examine import examine
from twintier.launch.doctor.findings import Finding, worst
from twintier.launch.doctor.probe import Probe, arrivals
from twintier.launch.doctor.reach import check_mqtt, check_port
from twintier.protocol.address import Address

T = TypeVar("T")
QUEUE_FIX = "max_queued_messages 0    (in mosquitto.conf; then restart Mosquitto)"


def within(main: Coroutine[object, None, T]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(90):
            return await main

    return asyncio.run(bounded())


@pytest.fixture(params=["mosquitto", "nats"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with broker_of(request.param, tmp_path / "broker") as running:
        assert isinstance(running, Server)
        yield running.running.url


@contextmanager
def mosquitto(folder: Path, *lines: str) -> Iterator[str]:
    """Mosquitto as it comes, with a few lines more."""
    program = find_mosquitto()
    if program is None:
        pytest.skip("mosquitto is not installed")
    port = free_port()
    own = ["user root"] if os.geteuid() == 0 else []
    path = folder / "mosquitto.conf"
    text = [f"listener {port} 127.0.0.1", "allow_anonymous true", *own, *lines]
    path.write_text("\n".join(text) + "\n")
    process = start([program, "-c", str(path)], folder / "log", lambda: answers_connect(port))
    try:
        yield f"mqtt://127.0.0.1:{port}"
    finally:
        stop(process)


async def left_over(url: str) -> list[str]:
    """Retained topics that the broker has now."""
    async with MqttBus(url, MqttSettings("after")) as bus:
        await bus.subscribe(["#"])
        return [delivery.topic for delivery in await arrivals(bus, 10_000, 0.7)]


def levels(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.level for finding in findings}


def test_our_brokers_have_no_problem_and_are_left_as_they_were(url: str, tmp_path: Path) -> None:
    probe = Probe(Connection(url), "twintier", tmp_path, listen_s=0.5)
    findings = within(examine(probe))
    fine = ["reach", "MQTT", "round trip", "retained", "offline queue", "payload", "listening"]
    fine += ["identities", "leases", "disk"]
    seen = levels(findings)
    assert {check: seen[check] for check in fine} == dict.fromkeys(fine, "ok")
    assert [f.check for f in findings if f.level != "ok" and f.check not in fine] == ["access"]
    [payload] = [f for f in findings if f.check == "payload"]
    assert payload.seen == "a payload of 7,936 KiB passes, not much more"
    assert within(left_over(url)) == []


def test_mosquitto_s_defaults_are_found_with_the_line_that_mends_them(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as url:
        probe = Probe(Connection(url), "twintier", tmp_path, listen_s=0.5)
        findings = within(examine(probe))
        problems = [(f.check, f.fix) for f in findings if f.level == "problem"]
        assert problems == [("retained", QUEUE_FIX), ("offline queue", QUEUE_FIX)]
        [queue] = [f for f in findings if f.check == "offline queue"]
        assert queue.seen == "1000 of 1200 messages came to a client that was away"
        assert within(left_over(url)) == []


def test_a_broker_that_takes_no_chunk_of_ours_is_found(tmp_path: Path) -> None:
    with mosquitto(tmp_path, "max_queued_messages 0", "message_size_limit 100000") as url:
        probe = Probe(Connection(url), "twintier", tmp_path, listen_s=0.5)
        findings = within(examine(probe))
        [found] = [f for f in findings if f.level == "problem"]
        assert found.check == "payload"
        assert found.seen == "a payload of 257 KiB, a chunk of ours, does not pass"
        assert "message_size_limit 0" in found.fix


def test_where_nobody_listens_that_is_the_finding_and_the_machine_is_looked_at_too(
    tmp_path: Path,
) -> None:
    port = free_port()
    probe = Probe(Connection(f"mqtt://127.0.0.1:{port}"), "twintier", tmp_path / "none")
    findings = within(examine(probe))
    assert levels(findings) == {"reach": "problem", "disk": "ok"}
    assert findings[0].fix.startswith(f"twintier up broker --port {port} ")


async def delayed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on 50 ms after they came, as a packet that Nagle's rule holds back."""
    while data := await reader.read(65_536):
        await asyncio.sleep(0.05)
        writer.write(data)
    writer.close()


def test_packets_that_are_held_back_are_found_by_the_round_trip(tmp_path: Path) -> None:
    async def main(port: int) -> list[Finding]:
        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            back, onward = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(delayed(reader, onward), delayed(back, writer))

        server = await asyncio.start_server(forward, "127.0.0.1", 0)
        async with server:
            url = f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            probe = Probe(Connection(url), "twintier", tmp_path)
            reached = [*await check_port(probe), *await check_mqtt(probe)]
            assert worst(reached) == "ok"
            return await check_round_trip(probe)

    with mosquitto(tmp_path) as url:
        [found] = within(main(int(url.rpartition(":")[2])))
    assert found.level == "warning"
    assert found.limit == "below 35 ms over the network's own"
    assert found.fix.startswith("set_tcp_nodelay true ")


def test_a_server_that_speaks_no_mqtt_is_no_broker(tmp_path: Path) -> None:
    async def main() -> list[Finding]:
        async def mumble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(mumble, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            return await examine(
                Probe(Connection(f"mqtt://127.0.0.1:{port}"), "twintier", tmp_path)
            )

    assert levels(within(main())) == {"reach": "ok", "MQTT": "problem", "disk": "ok"}


async def two_clouds(url: str) -> None:
    """Two cloud twins with different boots, one of them with a wrong clock, and a dead server."""
    peers = [Peer("cloud:cloud", "old"), Peer("cloud:cloud", "new", clock_ahead_s=-30.0)]
    async with MqttBus(url, MqttSettings("clouds")) as bus:
        while True:
            for peer in peers:
                topic, payload = peer.say(status("cloud", "online"), Address(), time.time())
                await bus.publish(topic, payload, qos=1)
                await asyncio.sleep(0.02)


def test_two_cloud_twins_are_found(url: str, tmp_path: Path) -> None:
    async def main() -> list[Finding]:
        clouds = asyncio.ensure_future(two_clouds(url))
        try:
            return await examine(Probe(Connection(url), "twintier", tmp_path, listen_s=1.0))
        finally:
            clouds.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await clouds

    findings = within(main())
    [found] = [f for f in findings if f.level == "problem"]
    assert found.check == "identities"
    assert "as cloud:cloud (" in found.seen
    [reading] = [f for f in findings if f.check == "reading"]
    assert reading.seen.startswith("a client without a certificate reads 1 kinds of messages")


def test_behind_access_rules_the_monitor_looks_and_does_not_touch(tmp_path: Path) -> None:
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    certs = tmp_path / "certs"
    create(certs, Identities(edges=["e1"]), now=datetime.now(UTC), days=5)
    broker = start_mosquitto(tmp_path / "broker", secured=Secured(certs))
    try:
        connection = Connection(broker.url, certs)
        findings = within(examine(Probe(connection, "twintier", tmp_path, listen_s=0.5)))
    finally:
        broker.stop()
    assert worst(findings) == "warning"
    by_check = {f.check: f for f in findings}
    assert by_check["access"].level == "ok"
    assert by_check["round trip"].level == "warning"
    assert "lets monitor not write" in by_check["round trip"].seen
    assert by_check["TLS"].level == "warning"
    assert by_check["certificates"].fix == f"twintier certs rotate {certs}"
    assert not {"retained", "offline queue", "payload"} & by_check.keys()


def twintier(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "twintier", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_command_says_it_in_json_and_by_its_exit_code(tmp_path: Path) -> None:
    url = f"mqtt://127.0.0.1:{free_port()}"
    process = twintier("doctor", "--url", url, "--state", str(tmp_path), "-o", "json")
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 12
    said = json.loads(output)
    assert said["worst"] == "problem"
    assert said["findings"][0]["check"] == "reach"


def test_what_was_published_is_taken_back_after_ctrl_c(tmp_path: Path) -> None:
    with mosquitto(tmp_path, "max_queued_messages 0") as url:
        process = twintier("doctor", "--url", url, "--probe-root", "doctored")

        async def until_it_keeps() -> None:
            async with MqttBus(url, MqttSettings("watching")) as bus:
                await bus.subscribe(["doctored/kept/#"])
                await arrivals(bus, 50, 30.0)

        within(until_it_keeps())
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 1
        assert "stopped before everything was looked at" in output
        assert within(left_over(url)) == []
