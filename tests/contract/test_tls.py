"""TLS, client certificates and access rules on a real Mosquitto; and their renewal."""

import asyncio
import socket
import ssl
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from cryptography import x509

from tests.support.tls import certificates
from twintier.broker.certs import folder as certs
from twintier.broker.certs.folder import Identities
from twintier.broker.errors import LocalBusError
from twintier.broker.mqtt.bus import MqttBus
from twintier.broker.mqtt.link import MqttSettings
from twintier.broker.mqtt.tls import TlsFiles, tls_files
from twintier.broker.servers.mosquitto import (
    Secured,
    find_mosquitto,
    reload_mosquitto,
    start_mosquitto,
)
from twintier.broker.servers.process import RunningBroker, free_port

pytestmark = pytest.mark.system

PERF = "twintier/v1/plvn/{}/up/perf/x"
MODEL = "twintier/v1/plvn/{}/down/model/x"
REGISTERED = "twintier/v1/plvn/{}/down/registered"
GRANT = "twintier/v1/plvn/{}/down/grant"


@dataclass
class Guarded:
    """A secured broker and its folder of certificates."""

    folder: Path
    running: RunningBroker

    @property
    def certs(self) -> Path:
        return self.folder / "certs"

    def client(self, identity: str, *, tls: TlsFiles | None = None) -> MqttBus:
        files = tls or tls_files(self.certs, identity)
        return MqttBus(self.running.url, MqttSettings(f"client-{identity}", tls=files))

    def reload(self) -> None:
        reload_mosquitto(self.running, self.folder, Secured(self.certs))

    def restart(self) -> None:
        """A new process on the same port, with the certificates as they are now."""
        port = int(self.running.url.rpartition(":")[2])
        self.running.stop()
        self.running = start_mosquitto(self.folder, port, secured=Secured(self.certs))

    def shown(self) -> x509.Certificate:
        """The certificate that the broker shows now."""
        context = ssl.create_default_context(cafile=str(self.certs / "ca.pem"))
        port = int(self.running.url.rpartition(":")[2])
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            der = secure.getpeercert(binary_form=True)
        assert der is not None
        return x509.load_der_x509_certificate(der)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    folder = certificates(tmp_path / "certs", edges=["e1", "e2"], plvns=["p1", "p2"])
    under_test = Guarded(tmp_path, start_mosquitto(tmp_path, secured=Secured(folder)))
    yield under_test
    under_test.running.stop()


def within(main: Coroutine[object, None, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await main

    asyncio.run(bounded())


async def taken(bus: MqttBus) -> bytes:
    delivery = await anext(bus.deliveries())
    await delivery.ack()
    return delivery.payload


def test_a_plvn_s_certificate_opens_its_own_branches_only(guarded: Guarded) -> None:
    async def main() -> None:
        client = guarded.client
        async with client("p1") as p1, client("p2") as p2, client("e1") as e1:
            await e1.subscribe([PERF.format("+")])
            await p1.subscribe([MODEL.format("p1")])
            await p2.subscribe([MODEL.format("p1"), PERF.format("p1")])
            await p2.publish(PERF.format("p1"), b"forged", qos=1)
            await p2.publish(MODEL.format("p1"), b"forged", qos=1)
            await p1.publish(PERF.format("p1"), b"own", qos=1)
            await e1.publish(MODEL.format("p1"), b"model", qos=1)
            for bus in (p1, p2, e1):
                await bus.flush()
            assert (await taken(e1), await taken(p1)) == (b"own", b"model")
            assert (p1.refused, p2.refused, e1.refused) == (0, 2, 0)
            assert (p1.waiting, p2.waiting, e1.waiting) == (0, 0, 0)

    within(main())


def test_an_edge_server_neither_grants_nor_answers_registrations(guarded: Guarded) -> None:
    async def main() -> None:
        client = guarded.client
        async with client("p1") as p1, client("e1") as e1, client("cloud") as cloud:
            await p1.subscribe([REGISTERED.format("p1"), GRANT.format("p1")])
            await e1.publish(REGISTERED.format("p1"), b"forged", qos=1)
            await e1.publish(GRANT.format("p1"), b"forged", qos=1)
            await e1.publish("twintier/v1/edge/e2/up/status", b"forged", qos=1)
            await e1.flush()
            await cloud.publish(REGISTERED.format("p1"), b"registered", qos=1)
            assert await taken(p1) == b"registered"
            assert (e1.refused, p1.waiting, cloud.refused) == (3, 0, 0)

    within(main())


def test_nobody_but_a_plvn_may_be_the_plvn_of_its_name(guarded: Guarded) -> None:
    async def main() -> None:
        async with guarded.client("tester") as watcher, guarded.client("e1") as e1:
            for bus, name in ((watcher, "tester"), (e1, "e1")):
                await bus.publish(f"twintier/v1/plvn/{name}/up/register", b"forged", qos=1)
                await bus.flush()
            assert (watcher.refused, e1.refused) == (1, 1)

    within(main())


async def first_log(bus: MqttBus) -> structlog.typing.EventDict:
    """What a client logs first."""
    said: asyncio.Queue[structlog.typing.EventDict] = asyncio.Queue()

    def listen(
        _logger: object, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        said.put_nowait(dict(event))
        raise structlog.DropEvent

    before = structlog.get_config()["processors"]
    structlog.configure(processors=[listen])
    try:
        await bus.connect()
        return await said.get()
    finally:
        await bus.close()
        structlog.configure(processors=before)


async def reason_of_refusal(bus: MqttBus) -> str:
    """Why a client does not get in."""
    said = await first_log(bus)
    assert said["event"] == "no broker"
    return str(said["reason"])


def test_without_a_certificate_of_this_authority_nobody_gets_in(
    guarded: Guarded, tmp_path: Path
) -> None:
    stranger = tls_files(certificates(tmp_path / "other", plvns=["p1"]), "p1")
    trusting = replace(stranger, authorities=guarded.certs / "ca.pem")
    plain = guarded.running.url.replace("mqtts:", "mqtt:")

    async def main() -> None:
        closed = "the broker closed the connection before an answer"
        reason = await reason_of_refusal(guarded.client("p1", tls=trusting))
        assert reason.startswith(f"{closed}; it may not take our certificate")
        reason = await reason_of_refusal(guarded.client("p1", tls=stranger))
        assert "certificate verify failed" in reason
        bare = MqttBus(plain, MqttSettings("bare", username="p1"))
        assert (await reason_of_refusal(bare)).startswith(f"{closed}; does it expect TLS")

    within(main())


def test_a_plvn_s_certificate_does_not_make_a_broker(guarded: Guarded) -> None:
    stolen = tls_files(guarded.certs, "p1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(stolen.certificate, stolen.key)

    async def main() -> None:
        server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0, ssl=context)
        async with server:
            port = server.sockets[0].getsockname()[1]
            settings = MqttSettings("e1", tls=tls_files(guarded.certs, "e1"))
            bus = MqttBus(f"mqtts://127.0.0.1:{port}", settings)
            assert "certificate verify failed" in await reason_of_refusal(bus)

    within(main())


def test_certificates_and_a_plain_url_do_not_go_together(guarded: Guarded) -> None:
    files = tls_files(guarded.certs, "p1")
    with pytest.raises(LocalBusError, match="would go unencrypted; use mqtts"):
        MqttBus("mqtt://127.0.0.1:1", MqttSettings("p1", tls=files))


def test_clients_stay_connected_while_certificates_rotate(guarded: Guarded) -> None:
    async def main() -> None:
        async with guarded.client("p1") as p1, guarded.client("e1") as e1:
            await e1.subscribe([PERF.format("+")])
            before = guarded.shown()
            certs.rotate(guarded.certs, now=datetime.now(UTC))
            guarded.reload()
            await p1.publish(PERF.format("p1"), b"after the reload", qos=1)
            assert await taken(e1) == b"after the reload"
            assert (p1.connections, e1.connections) == (1, 1)
            assert guarded.shown() != before
            own = x509.load_pem_x509_certificate((guarded.certs / "broker.pem").read_bytes())
            assert guarded.shown() == own

    within(main())


def test_a_new_authority_takes_over_while_clients_live_on(guarded: Guarded) -> None:
    """After the last step old certificates open nothing, so the clients must show new ones."""

    async def main() -> None:
        async with guarded.client("p1") as p1, guarded.client("e1") as e1:
            await e1.subscribe([PERF.format("+")])

            async def flows(payload: bytes) -> None:
                await p1.publish(PERF.format("p1"), payload, qos=1)
                while await taken(e1) != payload:
                    pass  # an earlier one that the broker sends again after its restart
                await asyncio.gather(p1.wait_up(), e1.wait_up())

            certs.rotate_authority(guarded.certs, now=datetime.now(UTC))
            guarded.restart()
            await flows(b"both authorities are trusted")
            certs.rotate(guarded.certs, now=datetime.now(UTC))
            guarded.reload()
            certs.drop_old_authority(guarded.certs)
            guarded.restart()
            await flows(b"the new one is trusted")
            assert (p1.connections, e1.connections) == (3, 3)

    within(main())


def test_a_reload_takes_up_rules_but_a_new_authority_needs_a_restart(guarded: Guarded) -> None:
    async def main() -> None:
        certs.rotate_authority(guarded.certs, now=datetime.now(UTC))
        certs.add(guarded.certs, Identities(edges=["e3"]), now=datetime.now(UTC))
        guarded.reload()
        rules = (guarded.folder / "acl").read_text()
        assert "user e3" in rules
        reason = await reason_of_refusal(guarded.client("e3"))
        assert "may not take our certificate" in reason
        guarded.restart()
        async with guarded.client("e3") as e3:
            await e3.publish("twintier/v1/edge/e3/up/status", b"here", qos=1)
            await e3.flush()
            assert e3.refused == 0

    within(main())


def test_an_edge_server_that_was_added_has_its_rules_after_a_reload(guarded: Guarded) -> None:
    async def main() -> None:
        certs.add(guarded.certs, Identities(edges=["e3"]), now=datetime.now(UTC))
        async with guarded.client("e3") as e3, guarded.client("cloud") as cloud:
            await cloud.subscribe(["twintier/v1/edge/+/up/status"])
            await e3.publish("twintier/v1/edge/e3/up/status", b"too early", qos=1)
            await e3.flush()
            assert e3.refused == 1
            guarded.reload()
            await e3.publish("twintier/v1/edge/e3/up/status", b"here", qos=1)
            assert await taken(cloud) == b"here"

    within(main())


def test_what_waits_for_an_absent_client_survives_a_reload(guarded: Guarded) -> None:
    """What is sent to it after the reload is lost with Mosquitto, as `reload_mosquitto` says."""

    async def main() -> None:
        settings = MqttSettings(
            "e1-kept", tls=tls_files(guarded.certs, "e1"), keep_session=True, session_expiry_s=60
        )
        async with MqttBus(guarded.running.url, settings) as e1:
            await e1.subscribe([PERF.format("+")])
        async with guarded.client("p1") as p1:
            await p1.publish(PERF.format("p1"), b"kept", qos=1)
            await p1.flush()
            certs.rotate(guarded.certs, now=datetime.now(UTC))
            own = x509.load_pem_x509_certificate((guarded.certs / "broker.pem").read_bytes())
            guarded.reload()
            while guarded.shown() != own:
                pass  # each asking takes the broker a turn further
            async with MqttBus(guarded.running.url, settings) as e1:
                assert await taken(e1) == b"kept"
                await p1.publish(PERF.format("p1"), b"and on", qos=1)
                assert await taken(e1) == b"and on"

    within(main())


def test_a_password_is_in_no_log_and_in_no_text_of_a_client() -> None:
    password = "hunter2"  # noqa: S105  # of this test only
    settings = MqttSettings("e1", username="e1", password=password)
    bus = MqttBus(f"mqtt://127.0.0.1:{free_port()}", settings)

    async def main() -> None:
        said = await first_log(bus)
        assert said["event"] == "no broker"
        assert password not in f"{said} {settings!r} {bus!r} {vars(bus)}"

    within(main())
