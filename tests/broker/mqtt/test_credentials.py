from pathlib import Path

import pytest

from twintier.broker.errors import CertificateError, LocalBusError
from twintier.broker.mqtt.bus import parse_url
from twintier.broker.mqtt.credentials import Credentials, credentials_from

SECRET = "correct horse"  # noqa: S105  # of these tests only


def test_credentials_come_from_the_environment() -> None:
    assert credentials_from({}) == Credentials()
    environment = {"TWINTIER_USERNAME": "e1", "TWINTIER_PASSWORD": SECRET}
    assert credentials_from(environment) == Credentials("e1", SECRET)


def test_a_password_may_lie_in_a_file_with_a_line_s_end(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(SECRET + "\n")
    environment = {"TWINTIER_USERNAME": "e1", "TWINTIER_PASSWORD_FILE": str(path)}
    assert credentials_from(environment) == Credentials("e1", SECRET)


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"TWINTIER_PASSWORD": SECRET}, "no user name; set TWINTIER_USERNAME"),
        ({"TWINTIER_PASSWORD": SECRET, "TWINTIER_PASSWORD_FILE": "x"}, "are set; unset one"),
        ({"TWINTIER_USERNAME": "e1", "TWINTIER_PASSWORD_FILE": "none"}, "cannot read none"),
    ],
)
def test_contradictory_credentials_are_refused_and_not_repeated(
    environment: dict[str, str], reason: str
) -> None:
    with pytest.raises(CertificateError, match=reason) as refused:
        credentials_from(environment)
    assert SECRET not in str(refused.value)


def test_a_password_is_in_no_repr() -> None:
    assert repr(Credentials("e1", SECRET)) == "Credentials(username='e1')"


def test_a_url_with_a_password_is_refused_without_repeating_it() -> None:
    with pytest.raises(LocalBusError, match="TWINTIER_PASSWORD_FILE instead") as refused:
        parse_url("mqtts://e1:hunter2@broker.example")
    assert "hunter2" not in str(refused.value)


def test_each_scheme_has_its_port() -> None:
    assert parse_url("mqtt://broker.example") == ("broker.example", 1883)
    assert parse_url("mqtts://broker.example") == ("broker.example", 8883)
    assert parse_url("mqtts://broker.example:1") == ("broker.example", 1)
