"""Which broker a one-command start uses on this machine."""

from pathlib import Path
from typing import Literal

from twintier.broker.errors import BrokerStartError
from twintier.broker.servers.mosquitto import Secured, find_mosquitto, start_mosquitto
from twintier.broker.servers.nats import start_nats
from twintier.broker.servers.process import RunningBroker

BrokerKind = Literal["auto", "mosquitto", "nats"]


def start_broker(
    kind: BrokerKind, state_dir: Path, port: int | None = None, secured: Secured | None = None
) -> RunningBroker:
    """Start a broker; `auto` is Mosquitto where it is installed, else NATS.

    Raises:
        BrokerStartError: if none starts; the message says what to install.
        CertificateError: if it is to be secured and its certificate is missing.
    """
    if secured is not None:
        if kind == "nats":
            raise BrokerStartError(
                "certificates and access rules are for Mosquitto; leave nats out, or install it "
                "(apt install mosquitto)"
            )
        return start_mosquitto(state_dir, port, secured=secured)
    if kind == "mosquitto":
        return start_mosquitto(state_dir, port)
    if kind == "nats":
        return start_nats(state_dir, port)
    if find_mosquitto() is not None:
        try:
            return start_mosquitto(state_dir, port)
        except BrokerStartError as error:
            first = str(error)
    else:
        first = "mosquitto is not installed (apt install mosquitto)"
    try:
        return start_nats(state_dir, port)
    except BrokerStartError as error:
        raise BrokerStartError(f"no broker could be started. {first}; {error}") from error
