"""One connection to an MQTT broker: aiomqtt, and the paho client inside it where aiomqtt hides it.

No other module touches paho. Its callbacks are used directly: one callback for acknowledgements
instead of a task a message, and acknowledgements given by hand.
"""

import asyncio
import contextlib
import math
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, Self

import aiomqtt
import paho.mqtt.client as paho
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from twintier.broker.bus import WINDOW, Will
from twintier.broker.errors import LocalBusError, UnavailableError
from twintier.broker.mqtt.tls import TlsFiles, client_context
from twintier.protocol.codec import MAX_PAYLOAD_BYTES

UNSUPPORTED_VERSION = (1, 132)
"""Answers of MQTT 3.1.1 and MQTT 5 brokers to a version that they do not speak."""
MAX_QUEUED_PACKETS = 512
"""Packets that wait for the socket before QoS 0 messages are refused."""
SOCKET_BYTES = 1024 * 1024
"""Buffers of the socket, so that a message of some ten kB goes in one piece."""
READ_AT_ONCE = 64
"""Packets that are read before others have their turn."""
FAILED = 0x80
CLOSED_PLAIN = "the broker closed the connection before an answer; does it expect TLS (mqtts://)?"
CLOSED_SECURE = (
    "the broker closed the connection before an answer; it may not take our certificate: see "
    "`twintier certs show`, and the broker's log"
)
MqttVersion = Literal["5", "3.1.1"]


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """How to reach a broker and how long to wait for it."""

    client_id: str
    """Role, identity and boot nonce; two clients of one id would disconnect each other for ever."""
    version: Literal["auto", "5", "3.1.1"] = "auto"
    username: str | None = None
    """The identity that the broker's access rules are for, where certificates do not say it."""
    password: str | None = field(default=None, repr=False)
    tls: TlsFiles | None = None
    """Files for `mqtts://`; without them the system's authorities are trusted, and no certificate
    is shown."""
    keepalive_s: int = 15
    connect_timeout_s: float = 2.0
    publish_timeout_s: float = 1.0
    """How long a publisher waits for an absent broker or a full window."""
    close_timeout_s: float = 0.2
    backoff_s: tuple[float, float] = (0.1, 5.0)
    """First and longest pause between attempts to connect; each is jittered."""
    session_expiry_s: int = 60
    """How long the broker keeps messages for a client whose connection broke (MQTT 5); one that
    was killed comes back under another id, so longer only fills the broker."""
    receive_maximum: int = 100
    """QoS 1 messages that the broker sends ahead of acknowledgements (MQTT 5)."""
    qos0_limit: int = 1000
    """QoS 0 messages that wait to be taken; beyond it the oldest go."""
    limit_bytes: int = MAX_PAYLOAD_BYTES
    keep_session: bool = False
    """Whether the session outlives `close`, for a client whose id stays the same."""


@dataclass(frozen=True, slots=True)
class LinkEvents:
    """What a connection reports; all are called on the event loop."""

    arrived: Callable[[paho.MQTTMessage], None]
    acknowledged: Callable[[int, bool], None]
    """Packet id, and whether the broker took the message."""


class UnsupportedVersionError(UnavailableError):
    """The broker does not speak this version of MQTT."""


class MqttLink:
    """One connection, from CONNECT to its loss."""

    def __init__(
        self,
        address: tuple[str, int],
        version: MqttVersion,
        settings: MqttSettings,
        *,
        events: LinkEvents,
        will: Will | None = None,
        clean: bool = False,
        secure: bool = False,
    ) -> None:
        """Prepare a connection.

        Args:
            address: host and port.
            version: of MQTT.
            settings: identity and limits.
            events: who is told what happens.
            will: what the broker says when the connection breaks.
            clean: whether an old session is dropped, and this one ends with the connection.
            secure: whether TLS is spoken, with the files as they are now.

        Raises:
            UnavailableError: if the files for TLS cannot be used now.
        """
        self._settings = settings
        self._events = events
        self._is_5 = version == "5"
        self._closed = CLOSED_SECURE if secure else CLOSED_PLAIN
        self._open = False
        self._client = aiomqtt.Client(
            *address,
            identifier=settings.client_id,
            username=settings.username,
            password=settings.password,
            protocol=aiomqtt.ProtocolVersion.V5 if self._is_5 else aiomqtt.ProtocolVersion.V311,
            will=None if will is None else aiomqtt.Will(will.topic, will.payload, 1, retain=True),
            clean_session=None if self._is_5 else clean,
            clean_start=clean if self._is_5 else paho.MQTT_CLEAN_START_FIRST_ONLY,
            properties=self._connect_properties() if self._is_5 else None,
            timeout=settings.connect_timeout_s,
            keepalive=settings.keepalive_s,
            max_inflight_messages=2 * WINDOW,
            tls_context=client_context(settings.tls) if secure else None,
            socket_options=[
                (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
                (socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES),
                (socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES),
            ],
        )
        self._paho = self._client._client  # noqa: SLF001  # see the module's text
        self._paho.connect_timeout = settings.connect_timeout_s
        self._paho.manual_ack_set(True)  # noqa: FBT003  # paho takes it by position
        self._paho.disable_logger()  # six calls a message; what matters is raised or counted
        self._paho.on_message = self._on_message
        self._paho.on_publish = self._on_publish
        self._paho.on_disconnect = self._on_disconnect
        self._paho.on_socket_open = self._on_socket_open
        self._paho.on_socket_register_write = self._on_want_write
        self._paho.on_socket_unregister_write = self._on_written
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._packets = 0

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            UnsupportedVersionError: if the broker speaks another version.
            UnavailableError: if it is not there or refuses.
        """
        try:
            await self._client.__aenter__()
        except MqttConnectError as error:
            code = error.rc.value if isinstance(error.rc, ReasonCode) else error.rc
            if code in UNSUPPORTED_VERSION:
                raise UnsupportedVersionError(str(error)) from error
            raise UnavailableError(f"the broker refuses us: {error}") from error
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            raise UnavailableError(str(error)) from error
        self._open = True
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Disconnect if that has not happened; bounded in time."""
        with contextlib.suppress(aiomqtt.MqttError):
            await self.disconnect()

    async def lost(self) -> None:
        """Wait until the connection is gone.

        Raises:
            UnavailableError: with the reason.
        """
        try:
            await asyncio.shield(self._client._disconnected)  # noqa: SLF001
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            raise UnavailableError(f"connection lost: {error}") from error
        raise UnavailableError("disconnected")

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe at QoS 1.

        Raises:
            LocalBusError: if the broker refuses a filter.
            UnavailableError: if it does not answer.
        """
        try:
            codes = await self._client.subscribe([(f, 1) for f in filters])
        except (aiomqtt.MqttError, ValueError) as error:
            raise UnavailableError(f"cannot subscribe: {error}") from error
        for topic_filter, code in zip(filters, codes, strict=True):
            granted = code.value if isinstance(code, ReasonCode) else int(str(code))
            if granted >= FAILED:
                raise LocalBusError(f"the broker refuses to subscribe to {topic_filter}: {code}")

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """End subscriptions; a lost connection has ended them too."""
        with contextlib.suppress(aiomqtt.MqttError):
            await self._client.unsubscribe(list(filters))

    def send(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        *,
        retain: bool,
        ttl_s: float | None,
        cid: bytes | None = None,
    ) -> int:
        """Send a message; returns its packet id."""
        properties = self._properties(ttl_s, cid) if self._is_5 else None
        return self._paho.publish(topic, payload, qos, retain, properties).mid

    @property
    def congested(self) -> bool:
        """Whether the socket takes less than is sent."""
        return len(self._paho._out_packet) > MAX_QUEUED_PACKETS  # noqa: SLF001

    def acknowledge(self, mid: int) -> None:
        """Acknowledge a QoS 1 delivery of this connection; if it is gone, nothing happens."""
        if self._open:
            self._paho.ack(mid, 1)

    async def disconnect(self) -> None:
        """Disconnect cleanly, so that the broker sends no will."""
        self._open = False
        gone = self._client._disconnected  # noqa: SLF001
        if not gone.done():
            self._paho.disconnect(properties=self._disconnect_properties())
            with contextlib.suppress(TimeoutError, aiomqtt.MqttError, OSError):
                async with asyncio.timeout(self._settings.close_timeout_s):
                    await asyncio.shield(gone)
        if not gone.done():
            gone.set_result(None)
        gone.exception()  # retrieved, so that nobody is told of it when it is collected
        await self._client.__aexit__(None, None, None)

    def _on_socket_open(
        self, client: paho.Client, userdata: object, sock: "paho.SocketLike"
    ) -> None:
        """Runs in the thread that connects; takes reading over from aiomqtt."""
        self._client._on_socket_open(client, userdata, sock)  # noqa: SLF001
        self._loop.call_soon_threadsafe(self._take_over, sock)

    def _take_over(self, sock: "paho.SocketLike") -> None:
        if sock.fileno() >= 0:  # else the broker has refused us and it is closed already
            self._loop.add_reader(sock.fileno(), self._read, sock)

    def _read(self, sock: "paho.SocketLike") -> None:
        """Read packets while they come; aiomqtt goes through the event loop for each."""
        try:
            for _ in range(READ_AT_ONCE):
                before = self._packets
                self._paho.loop_read()
                if self._packets == before and not _undecrypted(sock):
                    break
        except Exception as error:  # noqa: BLE001  # whatever it is, the connection is over
            self._fail(error)

    def _on_want_write(self, _client: object, _userdata: object, _sock: object) -> None:
        """Write everything that is queued in this turn of the loop at its end, in one go."""
        if threading.get_ident() == self._thread:
            self._loop.call_soon(self._write)
        else:
            self._loop.call_soon_threadsafe(self._write)

    def _write(self) -> None:
        try:
            self._paho.loop_write()
        except Exception as error:  # noqa: BLE001  # whatever it is, the connection is over
            self._fail(error)
            return
        sock = self._paho.socket()
        if sock is not None and self._paho.want_write():
            self._loop.add_writer(sock, self._write)

    def _on_written(self, _client: object, _userdata: object, sock: "paho.SocketLike") -> None:
        self._loop.remove_writer(sock)

    def _fail(self, error: Exception) -> None:
        gone = self._client._disconnected  # noqa: SLF001
        if not gone.done():
            gone.set_exception(error)

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: object,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        """Runs on the loop; tells at once that there is no answer, which aiomqtt waits out."""
        waiting = self._client._connected  # noqa: SLF001
        if not waiting.done():
            waiting.set_exception(aiomqtt.MqttError(self._closed))
        self._client._on_disconnect(client, userdata, flags, reason, properties)  # noqa: SLF001

    def _on_message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        self._packets += 1
        self._events.arrived(message)

    def _on_publish(
        self,
        _client: object,
        _userdata: object,
        mid: int,
        reason_code: ReasonCode,
        _properties: Properties,
    ) -> None:
        self._packets += 1
        self._events.acknowledged(mid, not reason_code.is_failure)

    def _connect_properties(self) -> Properties:
        properties = _properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = self._settings.session_expiry_s
        properties.ReceiveMaximum = self._settings.receive_maximum
        return properties

    def _disconnect_properties(self) -> Properties | None:
        if not self._is_5 or self._settings.keep_session:
            return None
        properties = _properties(PacketTypes.DISCONNECT)
        properties.SessionExpiryInterval = 0
        return properties

    def _properties(self, ttl_s: float | None, cid: bytes | None) -> Properties | None:
        if cid is None:
            return None if ttl_s is None else _expiry(_whole(ttl_s))
        properties = _properties(PacketTypes.PUBLISH)
        properties.CorrelationData = cid
        if ttl_s is not None:
            properties.MessageExpiryInterval = _whole(ttl_s)
        return properties


async def end_session(
    address: tuple[str, int], version: MqttVersion, settings: MqttSettings, *, secure: bool = False
) -> None:
    """Make the broker forget a client's session, where a disconnect cannot say so (MQTT 3.1.1)."""
    events = LinkEvents(lambda _message: None, lambda _mid, _taken: None)
    with contextlib.suppress(UnavailableError, TimeoutError):
        async with (
            asyncio.timeout(settings.close_timeout_s),
            MqttLink(address, version, settings, events=events, clean=True, secure=secure),
        ):
            pass


def _undecrypted(sock: "paho.SocketLike") -> bool:
    """Whether a TLS socket holds bytes that no selector will tell of."""
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0


def _whole(ttl_s: float) -> int:
    """Expiry is in whole seconds, and 0 would be at once."""
    return max(1, math.ceil(ttl_s))


class _Expiry(Properties):
    """An expiry alone, packed once; paho packs properties anew for every message."""

    def __init__(self, seconds: int) -> None:
        super().__init__(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's
        self.MessageExpiryInterval = seconds
        self.__dict__["packed"] = super().pack()  # type: ignore[no-untyped-call]  # paho's

    def pack(self) -> bytes:
        """The bytes of the properties."""
        packed: bytes = self.__dict__["packed"]
        return packed


_expiry = lru_cache(maxsize=128)(_Expiry)


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call]  # paho leaves it untyped
