"""A Mosquitto of our own, with a configuration that does not lose messages silently."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from broker.errors import BrokerStartError
from broker.process import RunningBroker, answers_connect, choose_port, start
from protocol.codec import MAX_PAYLOAD_BYTES

PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
QUEUE_BYTES = 256 * 1024 * 1024
"""Guard against a receiver that never comes back, per client."""
HEADER_BYTES = 1024


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
) -> str:
    """The text of `mosquitto.conf` for a loopback broker.

    Args:
        port: to listen on.
        state_dir: folder of its database.
        persistence: whether sessions and messages survive its end.
        autosave_changes: how many changes a killed broker may forget.
        acl_path: file of access rules, of `broker.acl`; without one, everybody may do everything.
    """
    lines = [
        f"listener {port} 127.0.0.1",
        "allow_anonymous true",
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
) -> RunningBroker:
    """Start Mosquitto on a loopback port and wait until it answers.

    Raises:
        BrokerStartError: if it is not installed or does not start.
    """
    program = find_mosquitto()
    if program is None:
        raise BrokerStartError(
            "mosquitto is not installed; install it (apt install mosquitto) or use --broker nats"
        )
    chosen = choose_port(port)
    folder = state_dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mosquitto.conf"
    acl_path = None if acl is None else folder / "acl"
    if acl_path is not None and acl is not None:
        acl_path.write_text(acl)
    path.write_text(
        configuration(
            chosen,
            folder,
            persistence=persistence,
            autosave_changes=autosave_changes,
            acl_path=acl_path,
        )
    )
    log_path = folder / "mosquitto.log"
    command = [program, "-c", str(path)]
    process = start(command, log_path, lambda: answers_connect(chosen))
    return RunningBroker(
        f"mqtt://127.0.0.1:{chosen}", "mosquitto", _version(program), process, log_path
    )


def _version(program: str) -> str:
    said = subprocess.run(  # noqa: S603  # the program that we just started
        [program, "-h"], capture_output=True, text=True, check=False, timeout=5
    ).stdout
    match = re.search(r"mosquitto version (\S+)", said)
    return match[1] if match else "unknown"
