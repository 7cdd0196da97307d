"""Every implementation of the bus, behind one way to start it, cut it and connect to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from tests.support.tls import TESTER, TESTER_MAY_ALL, secured, settings_of
from twintier.broker.bus import Bus
from twintier.broker.memory import MemoryBus, MemoryHub
from twintier.broker.mqtt.bus import MqttBus
from twintier.broker.mqtt.link import MqttSettings
from twintier.broker.servers.mosquitto import find_mosquitto, start_mosquitto
from twintier.broker.servers.nats import find_nats, start_nats
from twintier.broker.servers.process import RunningBroker
from twintier.runtime.delivery.presence import new_incarnation

KINDS = (
    "memory",
    *(pytest.param(kind, marks=pytest.mark.system) for kind in ("mosquitto", "mqtts", "nats")),
)
"""`mqtts` is Mosquitto with TLS; each of its clients shows a certificate."""


class BrokerUnderTest(Protocol):
    """A broker that tests may take away and bring back."""

    def client(self, name: str) -> Bus: ...

    def kill(self) -> None: ...

    def restart(self) -> None: ...


class InMemory:
    """The hub of the in-memory bus; made inside the event loop."""

    def __init__(self) -> None:
        self._hub: MemoryHub | None = None

    @property
    def hub(self) -> MemoryHub:
        if self._hub is None:
            self._hub = MemoryHub()
        return self._hub

    def client(self, name: str) -> MemoryBus:
        assert name
        return MemoryBus(self.hub)

    def kill(self) -> None:
        self.hub.stop()

    def restart(self) -> None:
        self.hub.start()


@dataclass
class Server:
    """A broker process; `start` starts it on the port it had."""

    running: RunningBroker
    start: Callable[[int], RunningBroker]
    settings: Callable[[str], MqttSettings] = MqttSettings

    @property
    def port(self) -> int:
        return int(self.running.url.rpartition(":")[2])

    def client(self, name: str) -> MqttBus:
        """A client with a nonce in its id, as every process has one."""
        return MqttBus(self.running.url, self.settings(f"{name}-{new_incarnation()}"))

    def kill(self) -> None:
        self.running.process.kill()
        self.running.process.wait()

    def restart(self) -> None:
        self.running = self.start(self.port)


@contextmanager
def broker_of(
    kind: str, folder: Path, *, persistence: bool = True, autosave_changes: int = 100
) -> Iterator[BrokerUnderTest]:
    """Start a broker of a kind, or skip the test with the reason why that is impossible."""
    if kind == "memory":
        yield InMemory()
        return
    settings: Callable[[str], MqttSettings] = MqttSettings
    if kind in {"mosquitto", "mqtts"}:
        if find_mosquitto() is None:
            pytest.skip("mosquitto is not installed")
        certs = secured(folder / "certs") if kind == "mqtts" else None
        if certs is not None:
            settings = partial(settings_of, certs.certs, TESTER)

        def begin(port: int | None) -> RunningBroker:
            return start_mosquitto(
                folder,
                port,
                persistence=persistence,
                autosave_changes=autosave_changes,
                acl=None if certs is None else TESTER_MAY_ALL,
                secured=certs,
            )
    else:
        if find_nats() is None:
            pytest.skip("nats-server is not installed")

        def begin(port: int | None) -> RunningBroker:
            return start_nats(folder, port)

    server = Server(begin(None), begin, settings)
    try:
        yield server
    finally:
        server.running.stop()
