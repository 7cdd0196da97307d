"""The demo with two INMFs on real roads, three seeds: who has a model, what it earns, what is lost.

Fourteen minutes on two cores. Rewards of models are those of the calibrated emulator, in each
INMF's unit a slot; the baseline and the bound stand on the same emulated episodes.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

INMFS = ("coop-perception", "vnf-scaling")
SEEDS = (1, 2, 3)
DURATION_S = 150
SHOWN = ("reward_before", "reward_after", "baseline_reward", "bound_reward")


def demo(seed: int, folder: Path) -> dict[str, object]:
    """The summary of one run, and how it ended."""
    summary = folder / f"{seed}.json"
    options = ["--inmf", ",".join(INMFS), "--duration", str(DURATION_S), "--seed", str(seed)]
    command = [sys.executable, "-m", "twintier", "demo", *options, "--summary", str(summary)]
    ended = subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode  # noqa: S603
    found: dict[str, object] = json.loads(summary.read_text(encoding="utf-8"))
    return {**found, "exit_code": ended}


def figures_of(summary: Mapping[str, object]) -> dict[str, object]:
    """What one run says."""
    models = summary["individual_models"]
    assert isinstance(models, Sequence)
    by_inmf: dict[str, object] = {}
    for inmf in INMFS:
        own = [model for model in models if model["inmf"] == inmf]
        states = [model["state"] for model in own]
        means = {name: _mean([model[name] for model in own]) for name in SHOWN}
        by_inmf[inmf] = {"models": {s: states.count(s) for s in sorted(set(states))}, **means}
    retrains = summary["retrains"]
    assert isinstance(retrains, Sequence)
    kept = ("exit_code", "broker", "speed", "messages")
    return {**{name: summary[name] for name in kept}, "retrains": len(retrains), "inmfs": by_inmf}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 3) if known else None


def run() -> Mapping[str, object]:
    """Figures by seed."""
    with tempfile.TemporaryDirectory(prefix="twintier-bench-") as folder:
        return {f"seed {seed}": figures_of(demo(seed, Path(folder))) for seed in SEEDS}
