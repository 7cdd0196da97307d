"""How the doctor's checks reach the broker: clients of its own, below a root of its own."""

import asyncio
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from twintier.broker.bus import Bus, Delivery
from twintier.broker.mqtt.bus import MqttBus, is_secure, parse_url
from twintier.broker.mqtt.credentials import credentials_from
from twintier.broker.mqtt.link import LinkEvents, MqttLink, MqttSettings, MqttVersion
from twintier.broker.mqtt.tls import tls_files
from twintier.launch.connection import Connection

LIMIT_BYTES = 32 * 1024 * 1024
"""Of our own client; far above what the doctor tries."""
RETAINED_TTL_S = 120.0
"""After which a broker of MQTT 5 forgets what a doctor that was killed has left."""
CONNECT_S = 5.0


def new_probe_root() -> str:
    """A root of topics that nobody else uses."""
    return f"twintier-doctor-{secrets.token_hex(4)}"


@dataclass(slots=True)
class Probe:
    """What checks are given: where, as whom, and what was learned on the way."""

    connection: Connection
    root: str
    """Of the platform that is looked at; nothing is published there."""
    state: Path
    listen_s: float = 3.0
    probe_root: str = field(default_factory=new_probe_root)
    """Of all messages that the doctor publishes."""
    version: MqttVersion = "5"
    broker: str = ""
    """What the broker calls itself, if it does."""
    connect_s: float = 0.0
    """How long the network takes for a connection."""
    may_publish: bool = True
    """Whether the broker lets this identity write and read below the probe's root."""

    @property
    def url(self) -> str:
        """Of the broker."""
        return self.connection.broker_url

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return parse_url(self.url)

    @property
    def is_mosquitto(self) -> bool:
        """Whether lines of `mosquitto.conf` are what mends it."""
        return "mosquitto" in self.broker

    def settings(self, name: str) -> MqttSettings:
        """Settings of one client, whose id stays the same for one name.

        Raises:
            LocalBusError: if the identity's certificate is missing.
        """
        certs = self.connection.certs
        credentials = credentials_from(os.environ)
        return MqttSettings(
            f"{self.probe_root}-{name}",
            version=self.version,
            username=credentials.username,
            password=credentials.password,
            tls=None if certs is None else tls_files(certs, self.connection.watching_as),
            limit_bytes=LIMIT_BYTES,
            qos0_limit=100_000,
            publish_timeout_s=3.0,
        )

    def bus(self, name: str, *, keep_session: bool = False) -> MqttBus:
        """A client, not connected yet."""
        return MqttBus(self.url, replace(self.settings(name), keep_session=keep_session))

    def link(self, name: str, events: LinkEvents) -> MqttLink:
        """One connection without the mending of a bus, for what is expected to break it."""
        return MqttLink(
            self.address,
            self.version,
            self.settings(name),
            events=events,
            clean=True,
            secure=is_secure(self.url),
        )


async def arrivals(
    bus: Bus, count: int, idle_s: float, key: Callable[[Delivery], str] = lambda d: d.topic
) -> list[Delivery]:
    """Different deliveries until so many have come, or none for a while.

    Args:
        bus: connected and subscribed.
        count: of different ones that are waited for.
        idle_s: seconds without any that end it.
        key: makes two deliveries the same.
    """
    seen: dict[str, Delivery] = {}
    coming = bus.deliveries()
    while len(seen) < count:
        try:
            async with asyncio.timeout(idle_s):
                delivery = await anext(coming)
        except (TimeoutError, StopAsyncIteration):
            break
        await delivery.ack()
        seen.setdefault(key(delivery), delivery)
    return list(seen.values())
