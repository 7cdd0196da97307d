"""The doctor's first look: is there a broker, which one, and does it talk to us."""

import asyncio
import ssl
from datetime import UTC, datetime

from twintier.broker.errors import BrokerError, LocalBusError, UnavailableError
from twintier.broker.mqtt.bus import is_secure
from twintier.broker.mqtt.link import LinkEvents, MqttVersion, UnsupportedVersionError
from twintier.broker.mqtt.tls import client_context
from twintier.launch.doctor.findings import Finding
from twintier.launch.doctor.probe import CONNECT_S, Probe, arrivals

VERSIONS: tuple[MqttVersion, ...] = ("5", "3.1.1")
SYS_VERSION = "$SYS/broker/version"
SYS_WAIT_S = 0.7


async def check_port(probe: Probe) -> list[Finding]:
    """Whether something listens there, and what it shows by TLS."""
    host, port = probe.address
    loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        fix = f"twintier up broker --port {port}    (or name the right broker with --url)"
        reason = str(error) or "no answer"
        return [Finding("reach", "problem", f"nothing listens at {host}:{port}: {reason}", "", fix)]
    probe.connect_s = loop.time() - began
    writer.close()
    seen = f"{host}:{port} takes connections in {1000 * probe.connect_s:.1f} ms"
    findings = [Finding("reach", "ok", seen)]
    return [*findings, *(await _handshake(probe) if is_secure(probe.url) else [])]


async def _handshake(probe: Probe) -> list[Finding]:
    host, port = probe.address
    try:
        context = client_context(probe.settings("tls").tls)
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    except (OSError, TimeoutError, BrokerError) as error:
        fix = "name the folder that `twintier certs create` made with --certs, and a host that "
        fix += "the broker's certificate names"
        return [Finding("TLS", "problem", f"no secure connection: {error}", "", fix)]
    layer = writer.get_extra_info("ssl_object")
    writer.close()
    assert isinstance(layer, ssl.SSLObject)
    ends = str((layer.getpeercert() or {}).get("notAfter", ""))
    left = datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) - datetime.now(UTC)
    seen = f"{layer.version()}; the broker's certificate is good for {left.days} days"
    if left.days >= 7:
        return [Finding("TLS", "ok", seen)]
    fix = "twintier certs rotate FOLDER    (then SIGHUP to `twintier up broker`)"
    return [Finding("TLS", "warning", seen, "at least 7 days", fix)]


async def check_mqtt(probe: Probe) -> list[Finding]:
    """Which MQTT the broker speaks."""
    reason = ""
    for version in VERSIONS:
        probe.version = version
        try:
            async with probe.link("hello", _deaf()):
                break
        except UnsupportedVersionError as error:
            reason = str(error)
        except UnavailableError as error:
            fix = "give --certs and --identity, or TWINTIER_USERNAME and TWINTIER_PASSWORD_FILE"
            return [Finding("MQTT", "problem", f"the broker does not take us: {error}", "", fix)]
    else:
        fix = "use a broker that speaks MQTT 3.1.1 or 5, such as `twintier up broker`"
        return [Finding("MQTT", "problem", f"no common version: {reason}", "5 or 3.1.1", fix)]
    probe.broker = await _name(probe)
    said = probe.broker or "the broker does not say what it is"
    return [Finding("MQTT", "ok", f"version {probe.version}; {said}")]


async def _name(probe: Probe) -> str:
    """What the broker says of itself; empty if it says nothing."""
    bus = probe.bus("sys")
    try:
        await bus.connect()
        async with asyncio.timeout(CONNECT_S):
            await bus.wait_up()
        await bus.subscribe([SYS_VERSION])
        said = await arrivals(bus, 1, SYS_WAIT_S)
    except (LocalBusError, UnavailableError, TimeoutError):
        return ""
    finally:
        await bus.close()
    return said[0].payload.decode(errors="replace")[:80] if said else ""


def _deaf() -> LinkEvents:
    return LinkEvents(lambda _message: None, lambda _mid, _taken: None)
