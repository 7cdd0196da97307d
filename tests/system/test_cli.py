"""The command line on a real broker: roles by hand, garbage on every topic, ends and exit codes."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from twintier.broker.errors import BrokerStartError
from twintier.broker.mqtt.bus import MqttBus
from twintier.broker.mqtt.link import MqttSettings
from twintier.broker.servers.local import start_broker
from twintier.broker.servers.process import RunningBroker, free_port
from twintier.broker.tape import TapeHeader, TapeWriter
from twintier.launch.lock import locked
from twintier.protocol.catalogue import CATALOGUE

END_S = 20.0
"""Patience of the tests; the ends themselves take under two seconds on an idle machine."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    folder = tmp_path / "broker"
    folder.mkdir()
    try:
        running = start_broker("auto", folder)
    except BrokerStartError as error:
        pytest.skip(f"no broker here: {error}")
    yield running
    running.stop()


def twintier(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "twintier", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def wait_for(process: "subprocess.Popen[str]", words: str) -> str:
    """Read the output up to a line with these words; the test's time limit bounds it."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if words in line:
            return seen
    raise AssertionError(f"{words!r} never came; the output was:\n{seen}")


def interrupt(process: "subprocess.Popen[str]") -> int:
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=END_S)
    return process.returncode


def test_roles_end_with_0_at_ctrl_c_also_when_the_broker_has_gone(
    broker: RunningBroker, tmp_path: Path
) -> None:
    common = ("--url", broker.url, "--state", str(tmp_path / "state"))
    cloud = twintier("up", "cloud", *common)
    edge = twintier("up", "edge", "edge-1", *common)
    agent = twintier("up", "agent", *common, "--plvns", "1")
    for process in (cloud, edge, agent):
        wait_for(process, "on the bus")
    assert interrupt(agent) == 0
    broker.stop()
    assert interrupt(edge) == 0
    assert interrupt(cloud) == 0
    stores = sorted(path.name for path in (tmp_path / "state").glob("**/*sqlite*"))
    assert stores == ["agent-builtin-1.sqlite", "cloud.sqlite", "edge.sqlite"]  # no -wal is left


@pytest.mark.parametrize(("words", "held"), [("demo", ""), ("up broker", "broker")])
def test_a_folder_in_use_is_refused_with_the_number_of_its_process(
    words: str, held: str, tmp_path: Path
) -> None:
    with locked(tmp_path / held):
        process = twintier(*words.split(), "--state", str(tmp_path))
        output, _ = process.communicate(timeout=END_S)
    assert process.returncode == 9
    assert f"is in use by process {os.getpid()}\n" in output


def test_the_summary_of_a_demo_is_looked_at_before_it_starts(tmp_path: Path) -> None:
    process = twintier("demo", "--source", "builtin", "--summary", str(tmp_path / "none" / "x"))
    output, _ = process.communicate(timeout=END_S)
    assert process.returncode == 2
    assert output.startswith(f"twintier: {tmp_path / 'none' / 'x'} cannot be written: ")


@pytest.mark.parametrize("role", ["cloud", "edge e1", "agent --source builtin"])
def test_an_account_that_cannot_be_written_ends_a_role_with_its_reason(
    role: str, broker: RunningBroker, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    ledgers = str(tmp_path / "file" / "ledgers")
    where = ("--url", broker.url, "--state", str(tmp_path / "state"), "--ledgers", ledgers)
    process = twintier("up", *role.split(), *where)
    wait_for(process, "on the bus")
    process.send_signal(signal.SIGHUP)
    output, _ = process.communicate(timeout=END_S)
    assert process.returncode == 9
    assert "why: " in output
    assert output.endswith("  next: name another folder with --ledgers\n")


def test_commands_say_that_no_broker_answers() -> None:
    url = f"mqtt://127.0.0.1:{free_port()}"
    for command in (("watch", "--url", url), ("status", "--url", url)):
        process = twintier(*command)
        output, _ = process.communicate(timeout=END_S)
        assert process.returncode == 3
        assert f"no broker answers at {url}" in output


@pytest.mark.parametrize("command", ["watch", "status", "plvn list", "bus record", "bus replay"])
def test_ctrl_c_ends_the_wait_for_a_broker_at_once_and_leaves_nothing(
    command: str, tmp_path: Path
) -> None:
    tape = tmp_path / "tape"
    words = [*command.split(), *([str(tape)] if command.startswith("bus") else [])]
    if command == "bus replay":
        TapeWriter(tape, TapeHeader("twintier", 0)).__exit__(None, None, None)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = twintier(*words, "--url", f"mqtt://127.0.0.1:{silent.getsockname()[1]}")
        silent.accept()[0].close()
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=END_S)
    assert time.monotonic() - began < 2.0
    assert process.returncode == 1
    assert output.startswith("twintier: stopped before a broker answered\n")
    assert tape.exists() == (command == "bus replay")


def test_an_unknown_network_ends_the_agent_with_its_own_code(
    broker: RunningBroker, tmp_path: Path
) -> None:
    arguments = ("--source", "sumo", "--network", str(tmp_path / "none.sumocfg"))
    process = twintier("up", "agent", "--url", broker.url, *arguments)
    output, _ = process.communicate(timeout=END_S)
    assert process.returncode == 4
    assert "none.sumocfg" in output


def garbage() -> list[bytes]:
    return [b"", b"\x00\xff" * 40, b"\x81\xa4type", b"\x81\xa4type\xa9nosuch.v1", os.urandom(300)]


async def throw_garbage(url: str) -> int:
    """Everything that is no message, on every topic of the catalogue; returns how much."""
    thrown = 0
    async with MqttBus(url, MqttSettings("vandal")) as bus:
        for row in CATALOGUE:
            names = {"plvn": "toronto-highway-1", "edge": "edge-1", "inmf": "coop-perception"}
            names |= {"category_digest": "0" * 32, "role": "plvn", "id": "x", "digest": "0" * 64}
            topic = f"twintier/v1/{row.topic.format(**names)}"
            for payload in garbage():
                await bus.publish(topic, payload, qos=1)
                thrown += 1
        await bus.flush()
    return thrown


def test_garbage_is_refused_counted_and_shown_and_nothing_stops(
    broker: RunningBroker, tmp_path: Path
) -> None:
    common = ("--url", broker.url, "--state", str(tmp_path / "state"))
    roles = [
        twintier("up", "cloud", *common),
        twintier("up", "edge", "edge-1", *common),
        twintier("up", "agent", *common, "--plvns", "1", "--no-wait"),
    ]
    for process in roles:
        wait_for(process, "on the bus")
    watching = twintier("watch", "plvn/+/up/perf/#", "--url", broker.url, "--count", "1")
    assert "performance-reported" in watching.communicate(timeout=120)[0]  # the loop runs
    assert asyncio.run(throw_garbage(broker.url)) > 100
    after = twintier("watch", "plvn/+/up/perf/#", "--url", broker.url, "--count", "3", "-o", "json")
    lines = [json.loads(line) for line in after.communicate(timeout=120)[0].splitlines()]
    assert [line.get("type") for line in lines][-1] == "performance-reported.v2"
    shown = twintier("status", "--url", broker.url, "--seconds", "4", "-o", "json")
    status = json.loads(shown.communicate(timeout=END_S)[0])
    for src in ("cloud:cloud", "edge:edge-1", "plvn:toronto-highway-1"):
        process_status = status["processes"][src]
        assert process_status["refused"] > 0
        counted = process_status["counters"]
        assert (
            sum(n for name, n in counted.items() if name.startswith("refused."))
            == (process_status["refused"])
        )
    assert [process.poll() for process in roles] == [None, None, None]
    assert [interrupt(process) for process in reversed(roles)] == [0, 0, 0]
