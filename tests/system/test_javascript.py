"""A client in another language, built on the published schema alone, on a real broker."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from twintier.broker.errors import BrokerStartError
from twintier.broker.mqtt.bus import MqttBus
from twintier.broker.mqtt.link import MqttSettings
from twintier.broker.servers.mosquitto import start_mosquitto
from twintier.broker.servers.process import stop
from twintier.inmf.registry import inmf_of
from twintier.protocol.messages import HealthReported, ModelApplied, ModelDispatched
from twintier.protocol.messages.base import Message
from twintier.runtime.delivery.decoder import Decoder

pytestmark = pytest.mark.system

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = REPOSITORY / "examples" / "javascript"
PLVN = "javascript-1"
MODELS = 3
PATIENCE_S = 150.0


@pytest.fixture
def client(tmp_path: Path) -> Path:
    """The example with its packages, in a folder of its own."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path / "javascript"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules"))
    installed = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if installed.returncode != 0:
        pytest.skip(f"npm ci failed: {installed.stderr[-300:]}")
    return folder


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Mosquitto, a cloud twin that plans briefly, and one edge server."""
    try:
        broker = start_mosquitto(tmp_path / "broker")
    except BrokerStartError as error:
        pytest.skip(f"no broker here: {error}")
    common = ["--url", broker.url, "--state", str(tmp_path / "state")]
    with ExitStack() as stack:
        stack.callback(broker.stop)
        stack.enter_context(role(tmp_path, "edge", "edge-1", *common))
        planning = ["--planning-s", "12", "--expected-plvns", "1"]
        stack.enter_context(role(tmp_path, "cloud", *common, *planning))
        yield broker.url


@contextmanager
def role(folder: Path, *arguments: str) -> Iterator[None]:
    with (folder / f"{arguments[0]}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "twintier", "up", *arguments],
            stdout=log,
            stderr=log,
            cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    try:
        yield
    finally:
        stop(process)


@dataclass
class Seen:
    """What a listener in Python understood."""

    dispatched: dict[int, str] = field(default_factory=dict)
    applied: dict[int, str] = field(default_factory=dict)
    health: dict[str, HealthReported] = field(default_factory=dict)

    def take(self, message: Message, src: str) -> None:
        match message:
            case ModelDispatched(version=version, model=model):
                self.dispatched[version] = model
            case ModelApplied(version=version, model=model):
                self.applied[version] = model
            case HealthReported():
                self.health[src] = message
            case _:
                pass


async def listen(url: str, seen: Seen) -> None:
    decoder = Decoder("twintier")
    async with MqttBus(url, MqttSettings("listener")) as bus:
        await bus.subscribe(["twintier/v1/plvn/#", "twintier/v1/mon/#"])
        async for delivery in bus.deliveries():
            await delivery.ack()
            received = decoder.decode(delivery)
            seen.take(received.message, received.envelope.src)


async def run_client(folder: Path, url: str) -> list[dict[str, object]]:
    """Run the client until it has answered enough models; returns what it printed."""
    options = ["--url", url, "--schema", str(REPOSITORY / "docs" / "asyncapi.json")]
    options += ["--plvn", PLVN, "--models", str(MODELS)]
    options += ["--schema-id", inmf_of("coop-perception").schema_id]
    process = await asyncio.create_subprocess_exec(
        "node", "client.js", *options, cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    return [json.loads(line) for line in output.splitlines()]


def test_a_javascript_plvn_is_granted_gets_models_and_its_answers_are_taken(
    client: Path, url: str
) -> None:
    seen = Seen()

    async def main() -> list[dict[str, object]]:
        listening = asyncio.ensure_future(listen(url, seen))
        events = await run_client(client, url)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        return events

    events = asyncio.run(main())
    names = [event["event"] for event in events]
    early = ("registration-refused",)  # it may ask before the cloud twin knows of the edge server
    assert [name for name in names if name not in early] == [
        *("connected", "granted"),
        *["applied"] * MODELS,
        "left",
    ]
    [granted] = [event for event in events if event["event"] == "granted"]
    assert granted["edge"] == "edge-1"
    applied = {event["version"]: event["model"] for event in events if event["event"] == "applied"}
    assert applied == {version: seen.dispatched[version] for version in (1, 2, 3)}
    assert applied == seen.applied
    for src in ("cloud:cloud", "edge:edge-1"):
        assert seen.health[src].refused == 0
    # A version follows only once the twin has counted slots under the one before.
    counters = {counter.name for counter in seen.health["edge:edge-1"].counters}
    assert not counters & {
        "dispatches_resent",
        "applied_outdated",
        "incomplete_slots.coop-perception",
    }
