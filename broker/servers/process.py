"""Child processes that serve on a loopback port and never outlive us."""

import ctypes
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from twintier.broker.errors import BrokerStartError

READY_S = 10.0
STOP_S = 3.0
PAUSE_S = 0.02
_PR_SET_PDEATHSIG = 1
LOOPBACK = "127.0.0.1"
LOOPBACK_6 = "::1"


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """A broker that we started."""

    url: str
    kind: str
    version: str
    process: "subprocess.Popen[bytes]"
    log_path: Path

    def stop(self) -> None:
        """End it; kill it if it does not end in time. Calling again does nothing."""
        stop(self.process)


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port


def reached_at(bind: str) -> str:
    """The address at which this machine reaches a server that listens on an address."""
    return {"0.0.0.0": LOOPBACK, "::": LOOPBACK_6}.get(bind, bind)  # noqa: S104  # compared only


def url_of(scheme: str, host: str, port: int) -> str:
    """The URL of a broker; an address of IPv6 stands in brackets."""
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def choose_port(port: int | None, host: str = LOOPBACK) -> int:
    """The port asked for, or a free one.

    Raises:
        BrokerStartError: if somebody else listens on the port asked for.
    """
    if port is None:
        return free_port()
    try:
        socket.create_connection((host, port), timeout=0.5).close()
    except OSError:
        return port
    raise BrokerStartError(
        f"port {port} is taken by another server; connect to it with its URL or choose another port"
    )


def start(
    command: Sequence[str], log_path: Path, ready: Callable[[], bool]
) -> "subprocess.Popen[bytes]":
    """Start a server that ends with us and wait until it is ready.

    On Linux it ends with the thread that started it, so call this from the main one.

    Raises:
        BrokerStartError: if it ends, or is not ready in time; the message ends with its log.
    """
    with log_path.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  # our own command line
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=_end_with_parent() if sys.platform == "linux" else None,  # noqa: PLW1509
        )
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if ready():
            return process
        time.sleep(PAUSE_S)  # readiness is judged by `ready`, this only spares the processor
    stop(process)
    tail = log_path.read_text(errors="replace")[-800:]
    raise BrokerStartError(f"{command[0]} did not become ready; it said:\n{tail}")


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Terminate a process and wait for its end."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers_connect(port: int) -> bool:
    """Whether an MQTT broker answers a CONNECT on this loopback port with a CONNACK."""
    hello = b"\x10\x13\x00\x04MQTT\x04\x02\x00\x05\x00\x07twprobe"
    try:
        with socket.create_connection((LOOPBACK, port), timeout=0.5) as client:
            client.sendall(hello)
            answer = client.recv(4)
            client.sendall(b"\xe0\x00")
    except OSError:
        return False
    return answer[:1] == b"\x20" and answer[3:4] == b"\x00"


def answers_handshake(host: str, port: int, authorities: Path) -> bool:
    """Whether a TLS server with a certificate by one of these authorities listens."""
    context = ssl.create_default_context(cafile=str(authorities))
    context.check_hostname = False  # the address to listen on need not be a name of the broker
    try:
        with (
            socket.create_connection((host, port), timeout=0.5) as plain,
            context.wrap_socket(plain),
        ):
            return True
    except OSError:  # ssl.SSLError is one
        return False


def _end_with_parent() -> Callable[[], None]:
    """What a Linux child does first: leave our Ctrl-C, and ask for a signal when we die."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def prepare() -> None:
        os.setpgid(0, 0)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # died in between
            os._exit(1)

    return prepare
