"""`twintier bus` as a user runs it, on a real broker."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.brokers import Server, broker_of
from twintier.broker.mqtt.bus import MqttBus
from twintier.broker.mqtt.link import MqttSettings
from twintier.broker.servers.process import free_port
from twintier.broker.tape import read_frames

END_S = 20.0


@pytest.fixture(params=["mosquitto", "nats"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with broker_of(request.param, tmp_path / "broker") as running:
        assert isinstance(running, Server)
        yield running.running.url


def twintier(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "twintier", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end_of(process: "subprocess.Popen[str]") -> tuple[int, str]:
    output, _ = process.communicate(timeout=END_S)
    return process.returncode, output


def begun(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    assert "Ctrl-C ends it" in process.stdout.readline()


async def publish(url: str, root: str, numbers: range) -> None:
    async with MqttBus(url, MqttSettings("writer")) as bus:
        for number in numbers:
            await bus.publish(f"{root}/v1/x", b"%d" % number, qos=1)
        await bus.flush()


def test_a_recording_is_played_back_below_another_root(url: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    recording = twintier("bus", "record", str(first), "--url", url, "--count", "5")
    begun(recording)
    asyncio.run(publish(url, "twintier", range(5)))
    code, output = end_of(recording)
    assert (code, output) == (
        0,
        f"5 messages, 0 of them retained from before, 5 bytes of payload in {first}\n",
    )
    again = ("--url", url, "--root", "again")
    recording = twintier("bus", "record", str(second), *again, "--count", "5")
    begun(recording)
    code, output = end_of(twintier("bus", "replay", str(first), *again, "--speed", "0"))
    assert code == 0
    assert output.startswith("5 messages played below again/ in ")
    assert end_of(recording)[0] == 0
    frames = [list(read_frames(path)) for path in (first, second)]
    assert [f.payload for f in frames[0]] == [f.payload for f in frames[1]]
    assert {f.topic for f in frames[1]} == {"again/v1/x"}


def test_ctrl_c_ends_a_recording_and_keeps_it(url: str, tmp_path: Path) -> None:
    recording = twintier("bus", "record", str(tmp_path / "tape"), "--url", url, "--filter", "x/#")
    begun(recording)
    recording.send_signal(signal.SIGINT)
    assert end_of(recording)[0] == 0
    assert list(read_frames(tmp_path / "tape")) == []


def test_what_cannot_be_done_is_said_with_its_exit_code(tmp_path: Path) -> None:
    nowhere = f"mqtt://127.0.0.1:{free_port()}"
    tape = tmp_path / "tape"
    code, output = end_of(twintier("bus", "record", str(tape), "--url", nowhere))
    assert code == 3
    assert f"no broker answers at {nowhere}" in output
    assert not tape.exists()
    tape.write_bytes(b"no tape")
    code, output = end_of(twintier("bus", "record", str(tape), "--url", nowhere))
    assert code == 2
    assert output.startswith(f"twintier: {tape} exists\n  why: ")
    assert output.endswith("\n  next: choose another file for the tape\n")
    code, output = end_of(twintier("bus", "replay", str(tape), "--url", nowhere))
    assert code == 2
    assert f"{tape} is no tape" in output
