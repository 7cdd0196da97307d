"""The bus side by side with its peers: writer, Mosquitto and reader as three processes.

`msg_per_s` at QoS 1 with at most 64 unacknowledged messages; latency at 200 messages a second, of
4 MB at 4. Ratios are of medians over runs in which the contenders take turns, raw threaded paho =
1; lowest and highest are those of single turns. `cpu_us` is processor time of writer and reader a
message, which says more than the rate where others use the machine. The typed bus does all that a
runtime does: pydantic models, digests, envelope, msgpack, duplicates, expiry, acknowledgement by
hand.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from twintier.broker.servers.mosquitto import start_mosquitto

ROUNDS = 5
COUNTS: Mapping[int, int] = {200: 5000, 40_000: 800, 4_000_000: 15}
LATENCIES: Mapping[int, tuple[float, int]] = {
    200: (200.0, 400),
    40_000: (200.0, 400),
    4_000_000: (4.0, 20),
}
"""Messages a second, and how many."""
PATIENCE_S = 120.0
EXTRA = "faststream"
CONTENDERS = ("paho", "twintier", "aiomqtt", EXTRA)

Figures = dict[str, float]
Turns = Mapping[str, list[Figures]]


def run() -> Mapping[str, object]:
    """Measure everything; a contender of the extra that is not installed is left out."""
    names = [name for name in CONTENDERS if name != EXTRA or find_spec(EXTRA) is not None]
    with tempfile.TemporaryDirectory() as folder:
        broker = start_mosquitto(Path(folder), persistence=False)
        try:
            throughput = {size: _turns(names, broker.url, size) for size in COUNTS}
            latency = {
                size: {n: _measure(n, broker.url, size, count, rate) for n in names}
                for size, (rate, count) in LATENCIES.items()
            }
        finally:
            broker.stop()
    shown = {
        name: {str(size): _figures(throughput[size], latency[size], name) for size in COUNTS}
        for name in names
    }
    return {
        "broker": f"{broker.kind} {broker.version}",
        "sizes": shown.pop("twintier"),
        "peers": shown,
    }


def _turns(names: list[str], url: str, size: int) -> Turns:
    found: dict[str, list[Figures]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            found[name].append(_measure(name, url, size, COUNTS[size], 0.0))
    return found


def _measure(name: str, url: str, size: int, count: int, rate: float) -> Figures:
    with _side(name, "reader", url, size, count, rate) as reader:
        assert reader.stdout is not None
        if reader.stdout.readline().strip() != "ready":
            raise RuntimeError(f"the reader of {name} did not start")
        with _side(name, "writer", url, size, count, rate) as writer:
            wrote = writer.communicate(timeout=PATIENCE_S)[0]
        read = reader.communicate(timeout=PATIENCE_S)[0]
    figures: Figures = json.loads(read)
    figures["cpu_us"] += json.loads(wrote)["cpu_us"]
    return figures


def _side(*arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "bench._bus_peer", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  # ourselves


def _figures(turns: Turns, latency: Mapping[str, Figures], name: str) -> Figures:
    rates = {n: [turn["msg_per_s"] for turn in turns[n]] for n in turns}
    cpu = {n: statistics.median(turn["cpu_us"] for turn in turns[n]) for n in turns}
    single = [own / paho for own, paho in zip(rates[name], rates["paho"], strict=True)]
    median = {n: statistics.median(rates[n]) for n in rates}
    return {
        "msg_per_s": median[name],
        "ratio_to_paho": median[name] / median["paho"],
        "ratio_lowest": min(single),
        "ratio_highest": max(single),
        "cpu_us": cpu[name],
        "cpu_ratio_to_paho": cpu[name] / cpu["paho"],
        "p50_ms": latency[name]["p50_ms"],
        "p99_ms": latency[name]["p99_ms"],
    }
