"""Where a broker listens, and what is said of it."""

import socket

import pytest

from twintier.broker.errors import BrokerStartError
from twintier.broker.servers.process import choose_port, reached_at, url_of


@pytest.mark.parametrize(
    ("bind", "url"),
    [
        ("127.0.0.1", "mqtts://127.0.0.1:8883"),
        ("0.0.0.0", "mqtts://127.0.0.1:8883"),  # noqa: S104  # compared only
        ("::1", "mqtts://[::1]:8883"),
        ("::", "mqtts://[::1]:8883"),
        ("10.0.0.7", "mqtts://10.0.0.7:8883"),
    ],
)
def test_the_url_says_where_the_broker_is_reached(bind: str, url: str) -> None:
    assert url_of("mqtts", reached_at(bind), 8883) == url


def test_a_port_that_another_server_has_is_refused_at_its_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BrokerStartError, match=f"port {port} is taken by another server"):
            choose_port(port)
    assert choose_port(port) == port
