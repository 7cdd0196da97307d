"""The certificates of `twintier demo --secure`: made in the state folder, completed where kept."""

from datetime import UTC, datetime
from pathlib import Path

from twintier.broker.certs.folder import Identities, add, create, identities_of, inspect, rotate
from twintier.broker.errors import CertificateError
from twintier.broker.mqtt.tls import AUTHORITIES
from twintier.launch.demo.settings import DemoOptions
from twintier.launch.sources import possible_plvns


def ensure_certificates(options: DemoOptions, folder: Path) -> Path:
    """A folder with a certificate for everybody who may take part; returns it.

    Raises:
        CertificateError: if the broker asked for cannot be secured by us, or the folder is no
            folder of certificates.
    """
    if options.demo.broker not in {"auto", "mosquitto"}:
        raise CertificateError(
            f"--secure starts a Mosquitto of its own and cannot secure {options.demo.broker!r}; "
            "leave --broker out, or secure your own broker with `twintier certs create` and give "
            "its folder to `twintier up` with --certs"
        )
    now = datetime.now(UTC)
    plvns = [p for n in options.networks for p in possible_plvns(options.source_options(n))]
    if not (folder / AUTHORITIES).exists():
        create(folder, Identities(options.edges, plvns), now=now)
        return folder
    here = identities_of(folder)
    edges = [edge for edge in options.edges if edge not in here.edges]
    add(folder, Identities(edges, [p for p in plvns if p not in here.plvns]), now=now)
    if any(state.must_be_renewed for state in inspect(folder, now=now)):
        rotate(folder, now=now)
    return folder
