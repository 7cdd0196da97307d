"""`kill -9` of random roles at random moments under load, over a real Mosquitto.

The cloud twin, the edge server, the agents and the broker are killed and started again; after each
kill the store of whoever died is held to what the bus has carried. KILLS and KILL_SEED in the
environment say how often, and when and whom.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench._invariants import Said, broken_in_cloud, broken_in_edge, effects_of
from twintier.broker.mqtt.bus import MqttBus
from twintier.broker.mqtt.link import MqttSettings
from twintier.broker.servers.mosquitto import start_mosquitto
from twintier.protocol.codec import Decoded, decode
from twintier.protocol.errors import RemoteProtocolError
from twintier.protocol.messages import CloudStatusReported, HealthReported

PLVNS = 4
EDGE = "edge-1"
COMMON = ("--set", "edge.trajectory_slots=10000000")
"""Nothing is forgotten, so that the end shows every effect."""
ROLES: Mapping[str, tuple[str, ...]] = {
    "cloud": ("cloud", "--expected-plvns", str(PLVNS), "--planning-s", "20", "--n-min", "2"),
    EDGE: ("edge", EDGE),
    "agents": ("agent", "--plvns", str(PLVNS), "--speed", "50"),
}
BROKER = "broker"
PAUSE_S = (0.1, 2.0)
"""Between two kills; a role needs about one second to be back."""
LIMIT_S = 300.0
"""Until planning is over, and until all is delivered at the end."""
END_S = 15.0


@dataclass
class Platform:
    """Roles as processes on a broker of ours."""

    folder: Path
    said: Said = field(default_factory=Said)
    alive: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    """Roles that ended by themselves, or not in good order at the end."""
    broken: list[str] = field(default_factory=list)
    online: bool = False
    kept: dict[str, int] = field(default_factory=dict)
    """Uploads that wait with each role, by its last health report."""

    def __post_init__(self) -> None:
        """Start the broker."""
        self.broker = start_mosquitto(self.folder / BROKER)
        self.port = int(self.broker.url.rpartition(":")[2])

    def start(self, role: str) -> None:
        """Start a role."""
        common = ("--url", self.broker.url, "--state", str(self.folder / "state"), *COMMON)
        with (self.folder / f"{role}.log").open("ab") as log:
            command = [sys.executable, "-m", "twintier", "up", *ROLES[role], *common]
            self.alive[role] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603

    def kill(self, role: str) -> None:
        """Kill a role, look at what it has kept, and start it again."""
        if role == BROKER:
            self.broker.process.kill()
            self.broker.process.wait()
            self.broker = start_mosquitto(self.folder / BROKER, self.port)
            return
        process = self.alive[role]
        if process.poll() is not None:
            self.failed.append(f"{role} had ended with {process.returncode}")
        process.kill()
        process.wait()
        self.broken += [f"after a kill: {each}" for each in self.wrong_in(role)]
        self.start(role)

    def wrong_in(self, role: str) -> list[str]:
        """What the store of a role that does not run should hold."""
        state = self.folder / "state"
        if role == "cloud":
            return list(broken_in_cloud(self.said, state / "cloud" / "cloud.sqlite"))
        if role == EDGE:
            return list(broken_in_edge(self.said, state / EDGE / "edge.sqlite"))
        return []

    def end(self) -> None:
        """End every role in good order."""
        for process in self.alive.values():
            process.send_signal(signal.SIGTERM)
        for role, process in self.alive.items():
            if process.wait(END_S) != 0:
                self.failed.append(f"{role} ended with {process.returncode} when asked to")
            self.broken += [f"at the end: {each}" for each in self.wrong_in(role)]

    def take(self, decoded: Decoded) -> None:
        """Note what passes."""
        self.said.take(decoded)
        match decoded.message:
            case CloudStatusReported(phase="online"):
                self.online = True
            case HealthReported() as health:
                counts = {each.name: each.count for each in health.counters}
                self.kept[decoded.envelope.src] = counts.get("uploads_kept", 0)
            case _:
                pass

    async def listen(self, bus: MqttBus) -> None:
        """Note all that passes."""
        async for delivery in bus.deliveries():
            await delivery.ack()
            try:
                decoded = decode(delivery.payload, delivery.topic)
            except RemoteProtocolError:
                continue
            self.take(decoded)

    def delivered(self) -> bool:
        """Whether every role has said that its outbox holds no more than what is on its way."""
        return (
            len(self.kept) == PLVNS + len(("cloud", EDGE)) and max(self.kept.values()) <= 2 * PLVNS
        )

    async def until(self, seen: Callable[[], bool]) -> None:
        """Return once something has been seen.

        Raises:
            RuntimeError: if a role has ended meanwhile.
            TimeoutError: if it is not in time.
        """
        async with asyncio.timeout(LIMIT_S):
            while not seen():
                for role, process in self.alive.items():
                    if process.poll() is not None:
                        log = (self.folder / f"{role}.log").read_text(errors="replace")
                        raise RuntimeError(f"{role} has ended; it said: {log[-1000:]}")
                await asyncio.sleep(0.5)  # between two looks at what `listen` notes


async def _run(platform: Platform, kills: int, rng: random.Random) -> None:
    """Kill so many times."""
    settings = MqttSettings("bench-kill", keep_session=True, session_expiry_s=600)
    async with MqttBus(platform.broker.url, settings) as bus:
        await bus.subscribe(["twintier/v1/#"])
        listening = asyncio.create_task(platform.listen(bus))
        for role in ROLES:
            platform.start(role)
        await platform.until(lambda: platform.online)
        for number in range(kills):
            await asyncio.sleep(rng.uniform(*PAUSE_S))
            role = rng.choice((*ROLES, BROKER))
            print(f"kill {number + 1} of {kills}: {role}", file=sys.stderr)
            await asyncio.to_thread(platform.kill, role)
        platform.kept.clear()
        await platform.until(platform.delivered)
        await asyncio.to_thread(platform.end)
        listening.cancel()


def run() -> Mapping[str, object]:
    """Kill, and hold what is left to what was said."""
    kills, seed = int(os.environ.get("KILLS", "200")), int(os.environ.get("KILL_SEED", "1"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="twintier-bench-")))
        (folder / BROKER).mkdir()
        platform = Platform(folder)
        try:
            asyncio.run(_run(platform, kills, random.Random(seed)))
        finally:
            for process in platform.alive.values():
                process.kill()
                process.wait()
            platform.broker.stop()
        state = folder / "state"
        effects = effects_of(
            platform.said, state / EDGE / "edge.sqlite", next(state.glob("agent-*.sqlite"))
        )
    for each in (*platform.failed, *platform.broken):
        print(each, file=sys.stderr)
    figures = {
        "kills": kills,
        "seed": seed,
        "batches": len(platform.said.batches),
        "restarts_failed": len(platform.failed),
        "lost": len(effects.lost),
        "doubled": len(effects.doubled),
        "invariants_broken": len(platform.broken),
    }
    wrong = ("restarts_failed", "lost", "doubled", "invariants_broken")
    return {**figures, "passed": not any(figures[name] for name in wrong)}
