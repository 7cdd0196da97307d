"""How the processes of a deployment reach its broker, and as whom."""

import os
import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from twintier.broker.certs.folder import MONITOR, leaf_state
from twintier.broker.errors import CertificateError
from twintier.broker.mqtt.bus import MqttBus
from twintier.broker.mqtt.credentials import credentials_from
from twintier.broker.mqtt.link import MqttSettings
from twintier.broker.mqtt.tls import TlsFiles, tls_files

log = structlog.get_logger()

PLAIN_URL = "mqtt://127.0.0.1:1883"
SECURE_URL = "mqtts://127.0.0.1:8883"


@dataclass(frozen=True, slots=True)
class ClientName:
    """Who a client of the bus is."""

    identity: str
    """Its name on the wire, whose certificate it shows."""
    client_id: str
    """Role, identity and boot nonce: of this process alone."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A broker, and the folder of certificates if it asks for them."""

    url: str
    certs: Path | None = None
    """Made by `twintier certs`; it holds at least the files of the identities that run here."""
    watching_as: str = MONITOR
    """Whose certificate somebody shows who only listens."""
    mqtt: MqttSettings = field(default_factory=lambda: MqttSettings(""))
    """Times and limits of every client; who it is, is filled in for each."""

    @property
    def broker_url(self) -> str:
        """The URL; where only certificates are given, the secured broker of this machine."""
        return SECURE_URL if self.certs is not None and self.url == PLAIN_URL else self.url

    def bus(self, name: ClientName, *, qos0_limit: int | None = None) -> MqttBus:
        """A client, not connected yet; user name and password come from the environment.

        Args:
            name: who it is.
            qos0_limit: in place of that of the settings.

        Raises:
            LocalBusError: if the URL is none, or the identity's certificate is missing or over.
        """
        tls = None if self.certs is None else _files_in_force(self.certs, name.identity)
        credentials = credentials_from(os.environ)
        settings = replace(
            self.mqtt,
            client_id=name.client_id,
            username=credentials.username,
            password=credentials.password,
            tls=tls,
            qos0_limit=self.mqtt.qos0_limit if qos0_limit is None else qos0_limit,
        )
        return MqttBus(self.broker_url, settings)

    def watcher(self, *, qos0_limit: int | None = None) -> MqttBus:
        """A client of somebody who only listens.

        Raises:
            LocalBusError: as `bus`.
        """
        return self.bus(ClientName(self.watching_as, monitor_id()), qos0_limit=qos0_limit)


def _files_in_force(folder: Path, identity: str) -> TlsFiles:
    files = tls_files(folder, identity)
    state = leaf_state(folder, identity, now=datetime.now(UTC))
    if state.days_left < 0:
        raise CertificateError(
            f"{files.certificate} ended on {state.ends:%Y-%m-%d %H:%M} UTC; renew it with "
            "`twintier certs rotate` where the authority is kept, and copy it here"
        )
    if state.must_be_renewed:
        log.warning("certificate ends soon", identity=identity, days_left=state.days_left)
    return files


def monitor_id() -> str:
    """A client id for a listener, different each time."""
    return f"monitor-{secrets.token_hex(4)}"
