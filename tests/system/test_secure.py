"""The platform over TLS with access rules: roles by hand, each with its own certificate."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from twintier.broker.servers.mosquitto import find_mosquitto
from twintier.broker.servers.process import free_port

PLVN = "toronto-highway-1"
END_S = 20.0


def twintier(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "twintier", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def wait_for(process: "subprocess.Popen[str]", words: str) -> None:
    """Read the output up to a line with these words; the test's time limit bounds it."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if words in line:
            return
    raise AssertionError(f"{words!r} never came; the output was:\n{seen}")


def interrupt(process: "subprocess.Popen[str]") -> int:
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=END_S)
    return process.returncode


def done(*arguments: str) -> str:
    """The output of a command that ends by itself, well."""
    process = twintier(*arguments)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return output


def handed_out(certs: Path, machine: Path, *identities: str) -> str:
    """What a machine gets of the folder: authorities, public keys, its own identities."""
    machine.mkdir()
    own = [path for name in identities for path in certs.glob(f"{name}.*")]
    for path in {certs / "ca.pem", *certs.glob("*.sign.pub"), *own}:
        shutil.copy2(path, machine)
    return str(machine)


def test_each_role_runs_with_nothing_but_its_own_certificate(tmp_path: Path) -> None:
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    certs, port = tmp_path / "certs", str(free_port())
    done("certs", "create", str(certs), "--edge", "edge-1", "--plvn", PLVN)
    common = ("--url", f"mqtts://localhost:{port}", "--state", str(tmp_path / "state"))
    machines = {
        name: handed_out(certs, tmp_path / name, name) for name in ("cloud", "edge-1", PLVN)
    }
    broker = twintier(
        "up", "broker", "--port", port, "--certs", str(certs), "--state", str(tmp_path)
    )
    wait_for(broker, f"listens on mqtts://127.0.0.1:{port}")
    roles = [
        twintier("up", "cloud", *common, "--certs", machines["cloud"]),
        twintier("up", "edge", "edge-1", *common, "--certs", machines["edge-1"]),
        twintier("up", "agent", *common, "--certs", machines[PLVN], "--plvns", "1", "--no-wait"),
    ]
    for role in roles:
        wait_for(role, "on the bus")
    done("certs", "rotate", str(certs))
    broker.send_signal(signal.SIGHUP)
    wait_for(broker, "took up certificates and access rules")
    listen = ("--url", f"mqtts://localhost:{port}", "--certs", str(certs))
    lines = done("watch", "plvn/+/up/perf/#", *listen, "--count", "2", "-o", "json").splitlines()
    assert {json.loads(line)["type"] for line in lines} == {"performance-reported.v2"}
    status = json.loads(done("status", *listen, "--seconds", "4", "-o", "json"))
    assert set(status["processes"]) == {"cloud:cloud", "edge:edge-1", f"plvn:{PLVN}"}
    assert [p["refused"] for p in status["processes"].values()] == [0, 0, 0]
    assert [role.poll() for role in roles] == [None, None, None]
    assert [interrupt(process) for process in (*reversed(roles), broker)] == [0, 0, 0, 0]


def test_an_agent_without_a_certificate_of_its_plvn_says_so(tmp_path: Path) -> None:
    done("certs", "create", str(tmp_path / "certs"), "--plvn", "another")
    agent = twintier(
        "up", "agent", "--plvns", "1", "--certs", str(tmp_path / "certs"), "--state", str(tmp_path)
    )
    output, _ = agent.communicate(timeout=END_S)
    assert agent.returncode == 2
    assert f"{PLVN}.pem is missing" in output


def test_a_demo_says_what_it_cannot_secure(tmp_path: Path) -> None:
    demo = twintier("demo", "--secure", "--broker", "nats", "--state", str(tmp_path))
    output, _ = demo.communicate(timeout=END_S)
    assert demo.returncode == 2
    assert "cannot secure 'nats'\n" in output
    assert "  next: leave --broker out" in output
