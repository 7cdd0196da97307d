"""The bus on an MQTT broker: one connection after another, until it is closed.

What was not acknowledged when a connection broke is sent again over the next one, after the
subscriptions; so a reconnect neither loses nor reorders what a publisher has handed over.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from math import inf
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import paho.mqtt.client as paho
import structlog

from twintier.broker.bus import WINDOW, Qos, Will, check_publish
from twintier.broker.delivery_queue import DeliveryQueue
from twintier.broker.errors import LocalBusError, UnavailableError
from twintier.broker.mqtt.link import (
    LinkEvents,
    MqttLink,
    MqttSettings,
    MqttVersion,
    UnsupportedVersionError,
    end_session,
)
from twintier.broker.mqtt.window import Unacknowledged, Window

log = structlog.get_logger()

DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}


def parse_url(url: str) -> tuple[str, int]:
    """Host and port of `mqtt://host:port` or `mqtts://host:port`.

    Raises:
        LocalBusError: if it is none, or holds a user name or password.
    """
    parts = urlsplit(url)
    if "@" in parts.netloc:  # the URL is not repeated: it may hold a secret
        raise LocalBusError(
            "the broker URL holds a user name or password, which every user of this machine could "
            "read; set TWINTIER_USERNAME and TWINTIER_PASSWORD_FILE instead"
        )
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise LocalBusError(
            f"broker URL {url!r} is not of the form mqtt://host:port or mqtts://host:port"
        )
    try:
        return parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme]
    except ValueError as error:
        raise LocalBusError(f"broker URL {url!r} has no valid port") from error


def is_secure(url: str) -> bool:
    """Whether a broker URL asks for TLS."""
    return urlsplit(url).scheme == "mqtts"


class MqttDelivery:
    """A message from the broker."""

    __slots__ = ("_link", "_mid", "payload", "qos", "redelivered", "retain", "topic")

    def __init__(self, link: MqttLink, message: paho.MQTTMessage) -> None:
        self.topic = message.topic
        self.payload = bytes(message.payload)  # the same object, if it is bytes
        self.qos = message.qos
        self.retain = message.retain
        self.redelivered = message.dup
        self._mid = message.mid
        self._link = link

    async def ack(self) -> None:
        """Acknowledge on the connection that brought it; over a later one it comes again."""
        if self.qos:
            self._link.acknowledge(self._mid)


class MqttBus:
    """One client of an MQTT broker; see the port for what its methods promise."""

    def __init__(self, url: str, settings: MqttSettings) -> None:
        """Prepare a client of `mqtt://host:port` or `mqtts://host:port`.

        Raises:
            LocalBusError: if the URL is none, or asks for no TLS though there are files for it.
        """
        self._address = parse_url(url)
        self._secure = is_secure(url)
        if settings.tls is not None and not self._secure:
            raise LocalBusError(
                f"certificates are given, but {url!r} would go unencrypted; use mqtts://host:port"
            )
        self._settings = settings
        self._version: MqttVersion = "5" if settings.version == "auto" else settings.version
        self._filters: dict[str, None] = {}
        self._will: Callable[[], Will] | None = None
        self._came_up: Callable[[], None] | None = None
        self._deliveries: DeliveryQueue[MqttDelivery] = DeliveryQueue(settings.qos0_limit)
        self._window = Window(WINDOW)
        self._up = asyncio.Event()
        self._link: MqttLink | None = None
        self._group: asyncio.TaskGroup | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._pause_s = settings.backoff_s[0]
        self.connections = 0
        self.refused = 0
        """QoS 1 messages that the broker took and refused with a reason code (MQTT 5)."""

    @property
    def up(self) -> bool:
        """Whether the bus is connected and subscribed now."""
        return self._up.is_set()

    @property
    def waiting(self) -> int:
        """Messages that have arrived and not been taken."""
        return len(self._deliveries)

    @property
    def dropped(self) -> int:
        """QoS 0 messages that arrived too fast, and QoS 1 messages that expired on their way."""
        return self._deliveries.dropped + self._window.expired

    @property
    def version(self) -> MqttVersion:
        """MQTT version that is spoken, or will be tried next."""
        return self._version

    async def connect(
        self,
        will: Callable[[], Will] | None = None,
        came_up: Callable[[], None] | None = None,
    ) -> None:
        """Begin to connect, and go on until `close`."""
        self._will = will
        self._came_up = came_up
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        self._keeper = self._group.create_task(self._keep_connected())

    async def wait_up(self) -> None:
        """Wait until the bus is connected and subscribed."""
        await self._up.wait()

    async def close(self) -> None:
        """Disconnect so that no will is sent."""
        group, self._group = self._group, None
        if group is None or self._keeper is None:
            return
        was_up = self.up
        self._keeper.cancel()
        await group.__aexit__(None, None, None)
        self._deliveries.close()
        if was_up and self._version == "3.1.1" and not self._settings.keep_session:
            await end_session(self._address, self._version, self._settings, secure=self._secure)

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Listen to more filters."""
        fresh = [f for f in filters if f not in self._filters]
        self._filters.update(dict.fromkeys(fresh))
        if self._link is not None and self.up and fresh:
            with suppress(UnavailableError):  # the next connection subscribes to all
                await self._link.subscribe(fresh)

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """Listen to these filters no longer."""
        known = [f for f in filters if f in self._filters]
        for topic_filter in known:
            del self._filters[topic_filter]
        if self._link is not None and self.up and known:
            await self._link.unsubscribe(known)

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: Qos,
        retain: bool = False,
        ttl_s: float | None = None,
        cid: bytes | None = None,
    ) -> None:
        """Hand over a message."""
        check_publish(topic, payload, self._settings.limit_bytes)
        if not self.up:
            await self._wait_up_bounded()
        if qos == 0:
            self._send_unsure(topic, payload, retain=retain, ttl_s=ttl_s)
            return
        void_at = inf if ttl_s is None else asyncio.get_running_loop().time() + ttl_s
        message = Unacknowledged(topic, payload, retain, void_at, cid)
        if self._window.full:
            await self._add_bounded(message)
        else:
            await self._window.add(message)
        if self._link is not None and self.up:  # else the next connection sends it
            self._send(self._link, message, ttl_s)

    async def flush(self) -> None:
        """Wait until every QoS 1 message handed over has been acknowledged."""
        await self._window.wait_empty()

    async def deliveries(self) -> AsyncIterator[MqttDelivery]:
        """Messages as they arrive."""
        async for delivery in self._deliveries:
            yield delivery

    async def __aenter__(self) -> Self:
        """Connect and wait until connected."""
        await self.connect()
        await self.wait_up()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()

    async def _keep_connected(self) -> None:
        longest_s = self._settings.backoff_s[1]
        while True:
            try:
                await self._serve()
            except UnsupportedVersionError:
                self._change_version()
            except (UnavailableError, LocalBusError) as error:
                log.warning("no broker", broker="{}:{}".format(*self._address), reason=str(error))
            await asyncio.sleep(self._pause_s * random.uniform(0.5, 1.5))
            self._pause_s = min(2 * self._pause_s, longest_s)

    async def _serve(self) -> None:
        """Connect once and stay until the connection is lost.

        Raises:
            UnavailableError: always, with the reason.
        """
        link = MqttLink(
            self._address,
            self._version,
            self._settings,
            events=LinkEvents(lambda message: self._arrived(link, message), self._acknowledged),
            will=None if self._will is None else self._will(),
            secure=self._secure,
        )
        try:
            async with link:
                self._link = link
                if self._filters:
                    await link.subscribe(list(self._filters))
                if self._group is None:  # closed meanwhile, and `wait_for` lost the cancellation
                    raise asyncio.CancelledError
                for message in self._window.again():
                    self._send(link, message, message.void_at - asyncio.get_running_loop().time())
                self.connections += 1
                self._up.set()
                self._pause_s = self._settings.backoff_s[0]
                log.info("connected", broker="{}:{}".format(*self._address), mqtt=self._version)
                if self._came_up is not None:
                    self._came_up()
                await link.lost()
        finally:
            self._up.clear()
            self._link = None

    def _change_version(self) -> None:
        if self._settings.version == "auto":
            self._version = "3.1.1" if self._version == "5" else "5"
            self._pause_s = 0.0

    def _arrived(self, link: MqttLink, message: paho.MQTTMessage) -> None:
        self._deliveries.put(MqttDelivery(link, message))

    def _acknowledged(self, mid: int, taken: bool) -> None:  # noqa: FBT001  # a callback
        self.refused += not taken
        self._window.acknowledged(mid)

    def _send(self, link: MqttLink, message: Unacknowledged, ttl_s: float | None) -> None:
        finite = None if ttl_s is None or ttl_s == inf else ttl_s
        mid = link.send(
            message.topic,
            message.payload,
            1,
            retain=message.retain,
            ttl_s=finite,
            cid=message.cid,
        )
        self._window.sent(message, mid)

    def _send_unsure(
        self, topic: str, payload: bytes, *, retain: bool, ttl_s: float | None
    ) -> None:
        if self._link is None or self._link.congested:
            raise UnavailableError("the connection takes less than is sent")
        self._link.send(topic, payload, 0, retain=retain, ttl_s=ttl_s)

    async def _wait_up_bounded(self) -> None:
        timeout_s = self._settings.publish_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await self._up.wait()
        except TimeoutError as error:
            raise UnavailableError(f"no broker for {timeout_s} s") from error

    async def _add_bounded(self, message: Unacknowledged) -> None:
        timeout_s = self._settings.publish_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await self._window.add(message)
        except TimeoutError as error:
            raise UnavailableError(f"no acknowledgement for {timeout_s} s") from error
