"""Certificates for tests, made in a moment."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from twintier.broker.certs.folder import Identities, create
from twintier.broker.mqtt.link import MqttSettings
from twintier.broker.mqtt.tls import tls_files
from twintier.broker.servers.mosquitto import Secured

TESTER = "tester"
TESTER_MAY_ALL = f"user {TESTER}\ntopic readwrite #\n"
"""Access rules of a user whom a suite lets do everything."""


def certificates(
    folder: Path, *, edges: Sequence[str] = (), plvns: Sequence[str] = (), days: int = 90
) -> Path:
    """A folder with certificates of these, of `tester` and of everybody's broker."""
    create(folder, Identities(edges, plvns, [TESTER]), now=datetime.now(UTC), days=days)
    return folder


def secured(folder: Path) -> Secured:
    """A secured broker with a certificate for `tester`."""
    return Secured(certificates(folder))


def settings_of(folder: Path, identity: str, client_id: str) -> MqttSettings:
    """Settings of a client that shows its identity's certificate."""
    return MqttSettings(client_id, tls=tls_files(folder, identity))
