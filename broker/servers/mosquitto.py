"""A Mosquitto of our own, with a configuration that does not lose messages silently."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from twintier.broker.certs.folder import BROKER, identities_of
from twintier.broker.errors import BrokerStartError
from twintier.broker.mqtt.tls import AUTHORITIES, tls_files
from twintier.broker.servers.acl import access_rules
from twintier.broker.servers.process import (
    LOOPBACK,
    RunningBroker,
    answers_connect,
    answers_handshake,
    choose_port,
    reached_at,
    start,
    url_of,
)
from twintier.protocol.codec import MAX_PAYLOAD_BYTES
from twintier.protocol.ids import EdgeId
from twintier.protocol.topics import DEFAULT_ROOT

PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
QUEUE_BYTES = 256 * 1024 * 1024
"""Guard against a receiver that never comes back, per client."""
HEADER_BYTES = 1024
CONFIGURATION = "mosquitto.conf"
RULES = "acl"


@dataclass(frozen=True, slots=True)
class Secured:
    """A broker that knows its clients by certificates of one folder, and what each may do."""

    certs: Path
    """The folder that `twintier certs` made; it names edge servers and watchers."""
    root: str = DEFAULT_ROOT
    bind: str = LOOPBACK
    """The address of this machine to listen on; `0.0.0.0` for all."""

    def rules(self) -> str:
        """The access rules, as the folder is now.

        Raises:
            CertificateError: if the folder cannot be read.
        """
        known = identities_of(self.certs)
        edges = [EdgeId(edge) for edge in known.edges]
        return access_rules(edges, self.root, watchers=known.watchers)


def find_mosquitto() -> str | None:
    """The program, from PATH or where distributions put it; None if it is not installed."""
    search = os.pathsep.join([os.environ.get("PATH", ""), *PLACES])
    return shutil.which("mosquitto", path=search)


def configuration(
    port: int,
    state_dir: Path,
    *,
    persistence: bool = True,
    autosave_changes: int = 100,
    acl_path: Path | None = None,
    secured: Secured | None = None,
) -> str:
    """The text of `mosquitto.conf`: for loopback without passwords, or with TLS.

    Args:
        port: to listen on.
        state_dir: folder of its database.
        persistence: whether sessions and messages survive its end.
        autosave_changes: how many changes a killed broker may forget.
        acl_path: file of access rules, of `broker.servers.acl`; without one, everybody may do
            everything.
        secured: certificates that it shows and asks for.
    """
    lines = _listener(port, secured)
    lines += [
        "set_tcp_nodelay true",
        "max_inflight_messages 100",
        "max_queued_messages 0",
        f"max_queued_bytes {QUEUE_BYTES}",
        f"max_packet_size {MAX_PAYLOAD_BYTES + HEADER_BYTES}",
        "persistent_client_expiration 1d",
        f"persistence {'true' if persistence else 'false'}",
        "autosave_on_changes true",
        f"autosave_interval {autosave_changes}",
        f"persistence_location {state_dir}/",
        "log_dest stdout",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "connection_messages false",
    ]
    if os.geteuid() == 0:
        lines.append("user root")  # else it becomes `mosquitto`, who cannot write our folder
    if acl_path is not None:
        lines.append(f"acl_file {acl_path}")
    return "\n".join(lines) + "\n"


def start_mosquitto(
    state_dir: Path,
    port: int | None = None,
    *,
    persistence: bool = True,
    autosave_changes: int = 100,
    acl: str | None = None,
    secured: Secured | None = None,
) -> RunningBroker:
    """Start Mosquitto and wait until it answers.

    Args:
        state_dir: folder of its configuration, database and log.
        port: to listen on; a free one without it.
        persistence: whether sessions and messages survive its end.
        autosave_changes: how many changes a killed broker may forget.
        acl: access rules in place of those that follow from the folder of certificates.
        secured: TLS with client certificates; without it, it listens on loopback for everybody.

    Raises:
        BrokerStartError: if it is not installed or does not start.
        CertificateError: if its certificate is missing.
    """
    program = find_mosquitto()
    if program is None:
        raise BrokerStartError(
            "mosquitto is not installed; install it (apt install mosquitto) or use --broker nats"
        )
    rules = secured.rules() if acl is None and secured is not None else acl
    ready = _readiness(secured)
    host = LOOPBACK if secured is None else reached_at(secured.bind)
    chosen = choose_port(port, host)
    folder = state_dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    path, acl_path = folder / CONFIGURATION, folder / RULES
    if rules is not None:
        _write_rules(acl_path, rules)
    path.write_text(
        configuration(
            chosen,
            folder,
            persistence=persistence,
            autosave_changes=autosave_changes,
            acl_path=None if rules is None else acl_path,
            secured=secured,
        )
    )
    log_path = folder / "mosquitto.log"
    process = start([program, "-c", str(path)], log_path, lambda: ready(chosen))
    url = url_of("mqtt" if secured is None else "mqtts", host, chosen)
    return RunningBroker(url, "mosquitto", _version(program), process, log_path)


def reload_mosquitto(broker: RunningBroker, state_dir: Path, secured: Secured) -> None:
    """Let a running broker take up new access rules and a new certificate of its own.

    Connections stay. A new authority it takes up at its next start only. What is published to a
    client that is away then, after the reload and before it is back, Mosquitto acknowledges and
    loses (its issue 2934; seen with 2.0.11): streams that are confirmed end to end send it again.

    Raises:
        CertificateError: if the folder of certificates cannot be read; nothing has changed then.
    """
    _write_rules(state_dir.resolve() / RULES, secured.rules())
    os.kill(broker.process.pid, signal.SIGHUP)


def _listener(port: int, secured: Secured | None) -> list[str]:
    if secured is None:
        return [f"listener {port} {LOOPBACK}", "allow_anonymous true"]
    folder = secured.certs.resolve()
    return [
        f"listener {port} {secured.bind}",
        "allow_anonymous false",
        f"cafile {folder / AUTHORITIES}",
        f"certfile {folder / f'{BROKER}.pem'}",
        f"keyfile {folder / f'{BROKER}.key'}",
        "tls_version tlsv1.2",  # the least; Mosquitto calls it so since 2.0
        "require_certificate true",
        "use_identity_as_username true",
    ]


def _readiness(secured: Secured | None) -> Callable[[int], bool]:
    if secured is None:
        return answers_connect
    files = tls_files(secured.certs, BROKER)
    host = reached_at(secured.bind)
    return lambda port: answers_handshake(host, port, files.authorities)


def _write_rules(path: Path, rules: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(rules)
    fresh.replace(path)


def _version(program: str) -> str:
    said = subprocess.run(  # noqa: S603  # the program that we just started
        [program, "-h"], capture_output=True, text=True, check=False, timeout=5
    ).stdout
    match = re.search(r"mosquitto version (\S+)", said)
    return match[1] if match else "unknown"
