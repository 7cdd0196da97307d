"""The bus side by side with its peers: writer, Mosquitto and reader as three processes.

`msg_per_s` at QoS 1 with at most 64 unacknowledged messages; latency at 200 messages a second.
Ratios are of medians over runs in which the contenders take turns, raw threaded paho = 1. The typed
bus does all that a runtime does: pydantic models, digests, envelope, msgpack, duplicates, expiry,
acknowledgement by hand.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from broker.mosquitto import start_mosquitto

ROUNDS = 5
COUNTS: Mapping[int, int] = {200: 5000, 40_000: 800, 4_000_000: 15}
LATENCY_RATE = 200.0
LATENCY_COUNT = 400
LATENCY_SIZES = (200, 40_000)
PATIENCE_S = 120.0
CONTENDERS = ("paho", "twintier", "aiomqtt")

Figures = dict[str, float]


def run() -> Mapping[str, object]:
    """Measure everything."""
    with tempfile.TemporaryDirectory() as folder:
        broker = start_mosquitto(Path(folder), persistence=False)
        try:
            throughput = {size: _rounds(broker.url, size, COUNTS[size], 0.0) for size in COUNTS}
            latency = {
                size: _rounds(broker.url, size, LATENCY_COUNT, LATENCY_RATE, rounds=1)
                for size in LATENCY_SIZES
            }
        finally:
            broker.stop()
    return {
        "broker": f"{broker.kind} {broker.version}",
        "sizes": {str(s): _own(throughput[s], latency.get(s)) for s in COUNTS},
        "peers": {
            name: {str(s): _peer(throughput[s], latency.get(s), name) for s in COUNTS}
            for name in CONTENDERS
            if name != "twintier"
        },
    }


def _rounds(
    url: str, size: int, count: int, rate: float, rounds: int = ROUNDS
) -> dict[str, list[Figures]]:
    found: dict[str, list[Figures]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name in CONTENDERS:
            found[name].append(_measure(name, url, size, count, rate))
    return found


def _measure(name: str, url: str, size: int, count: int, rate: float) -> Figures:
    with _side(name, "reader", url, size, count, rate) as reader:
        assert reader.stdout is not None
        if reader.stdout.readline().strip() != "ready":
            raise RuntimeError(f"the reader of {name} did not start")
        with _side(name, "writer", url, size, count, rate) as writer:
            writer.wait(PATIENCE_S)
        said = reader.communicate(timeout=PATIENCE_S)[0]
    figures: Figures = json.loads(said)
    return figures


def _side(*arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "bench._bus_peer", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  # ourselves


def _own(throughput: dict[str, list[Figures]], latency: dict[str, list[Figures]] | None) -> Figures:
    return _peer(throughput, latency, "twintier")


def _peer(
    throughput: dict[str, list[Figures]], latency: dict[str, list[Figures]] | None, name: str
) -> Figures:
    rates = {n: statistics.median(f["msg_per_s"] for f in throughput[n]) for n in throughput}
    figures = {"msg_per_s": rates[name], "ratio_to_paho": rates[name] / rates["paho"]}
    if latency is not None:
        figures["p50_ms"] = latency[name][0]["p50_ms"]
        figures["p99_ms"] = latency[name][0]["p99_ms"]
    return figures
