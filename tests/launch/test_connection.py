from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from twintier.broker.certs.folder import Identities, create
from twintier.broker.errors import CertificateError, LocalBusError
from twintier.broker.mqtt.link import MqttSettings
from twintier.launch.connection import ClientName, Connection
from twintier.launch.demo.certs import ensure_certificates
from twintier.launch.demo.settings import DemoOptions
from twintier.launch.settings.resolve import Given, Settings
from twintier.launch.sources import SourceOptions, possible_plvns

NAME = ClientName("p1", "plvn-p1-0")


def demo(options: Mapping[str, str | bool]) -> DemoOptions:
    return DemoOptions.of(Settings(Given({"demo.source": "builtin", **options})))


def folder_ending_in(days: float, path: Path) -> Path:
    """Certificates of 30 days, so many of which are left."""
    made = datetime.now(UTC) - timedelta(days=30 - days)
    create(path, Identities(plvns=["p1"]), now=made, days=30)
    return path


def test_a_folder_of_certificates_alone_means_the_secured_broker_of_this_machine(
    tmp_path: Path,
) -> None:
    plain = Connection("mqtt://127.0.0.1:1883")
    assert plain.broker_url == "mqtt://127.0.0.1:1883"
    secured = Connection(plain.url, folder_ending_in(20, tmp_path / "certs"))
    assert secured.broker_url == "mqtts://127.0.0.1:8883"
    bus = secured.bus(NAME)
    assert (bus._address, bus._secure) == (("127.0.0.1", 8883), True)
    assert bus._settings.tls is not None
    assert bus._settings.tls.certificate == tmp_path / "certs" / "p1.pem"


def test_certificates_are_not_sent_in_the_open(tmp_path: Path) -> None:
    folder = folder_ending_in(20, tmp_path / "certs")
    with pytest.raises(LocalBusError, match="would go unencrypted"):
        Connection("mqtt://broker.example", folder).bus(NAME)


def test_an_identity_without_a_certificate_does_not_start(tmp_path: Path) -> None:
    folder = folder_ending_in(20, tmp_path / "certs")
    with pytest.raises(CertificateError, match=r"p2\.pem is missing.*twintier certs add"):
        Connection("mqtts://broker.example", folder).bus(ClientName("p2", "plvn-p2-0"))


def test_a_certificate_that_has_ended_stops_a_start_and_one_that_ends_soon_is_told(
    tmp_path: Path,
) -> None:
    over = Connection("mqtts://broker.example", folder_ending_in(-1.5, tmp_path / "over"))
    with pytest.raises(CertificateError, match=r"p1\.pem ended on .*twintier certs rotate"):
        over.bus(NAME)
    with capture_logs() as logs:
        Connection("mqtts://broker.example", folder_ending_in(6.5, tmp_path / "soon")).bus(NAME)
    assert logs == [
        {"event": "certificate ends soon", "identity": "p1", "days_left": 6, "log_level": "warning"}
    ]


def test_every_client_has_the_times_and_limits_of_the_settings() -> None:
    mqtt = Settings(Given(sets=("mqtt.keepalive_s=7", "mqtt.backoff_s=0.5,9"))).of(MqttSettings)
    connection = Connection("mqtt://broker.example", mqtt=mqtt)
    settings = connection.bus(NAME)._settings
    assert (settings.client_id, settings.keepalive_s, settings.qos0_limit) == ("plvn-p1-0", 7, 1000)
    assert settings.backoff_s == (0.5, 9.0)
    assert connection.watcher(qos0_limit=5)._settings.qos0_limit == 5


def test_user_and_password_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINTIER_USERNAME", "e1")
    monkeypatch.setenv("TWINTIER_PASSWORD", "hunter2")
    settings = Connection("mqtts://broker.example").bus(NAME)._settings
    assert (settings.username, settings.password) == ("e1", "hunter2")
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize("broker", ["nats", "memory", "mqtt://127.0.0.1:1883"])
def test_a_demo_secures_its_own_mosquitto_only(tmp_path: Path, broker: str) -> None:
    options = demo({"demo.broker": broker, "demo.secure": True})
    with pytest.raises(CertificateError, match=r"cannot secure .*leave --broker out"):
        ensure_certificates(options, tmp_path / "certs")


def test_a_demo_completes_the_certificates_of_a_kept_state_folder(tmp_path: Path) -> None:
    folder = ensure_certificates(demo({"source.plvns": "1"}), tmp_path / "certs")
    kept = (folder / "edge-1.pem").read_bytes()
    ensure_certificates(demo({"source.plvns": "2"}), folder)
    assert (folder / "toronto-local-1.pem").is_file()
    assert (folder / "edge-1.pem").read_bytes() == kept


def test_plvns_are_known_before_their_source_starts() -> None:
    assert possible_plvns(SourceOptions("builtin", plvns=3)) == [
        "toronto-highway-1",
        "toronto-local-1",
        "vancouver-highway-1",
    ]
