"""`twintier case-study`: Section IV of the paper from one command, resumable.

Each (seed, start) and (seed, arm) is a file under `parts/` as soon as it is done, so Ctrl-C costs
at most the one in work. Everything that is reported is computed from these files.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import process_time

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from twintier.inmf.actor import PolicySpec
from twintier.launch.case_study.adaptation import ARM as ADAPTED_OVER_BUS
from twintier.launch.case_study.adaptation import adapt_over_bus
from twintier.launch.case_study.arms import (
    ARMS,
    START_OF,
    STARTS,
    Arm,
    CaseStudySettings,
    Start,
    Tick,
    run_arm,
    start_of,
)
from twintier.launch.case_study.epochs import INMF, PAPER
from twintier.launch.case_study.over_bus import train_over_bus
from twintier.launch.case_study.summary import ArmCurves, bounds, half_width, summarise
from twintier.launch.lock import locked
from twintier.learning.policy import Vector


class CaseStudyError(Exception):
    """The case study cannot go on as asked."""


Part = dict[str, npt.NDArray[np.floating]]
Advance = Callable[[int], None]


def run(
    *,
    epochs: int = 500,
    seeds: int = 10,
    out: Path,
    over_bus: str | None = None,
    settings: CaseStudySettings | None = None,
    quiet: bool = False,
) -> dict[str, object]:
    """Compute what is missing, then write `fig6.*`, `curves.csv` and `summary.json` into `out`.

    Args:
        epochs: epochs of each arm on task 1.
        seeds: seeds 0, 1, ... of each arm, meta training included.
        out: the folder; a run that was stopped there goes on.
        over_bus: `memory`, `auto` for a broker started for it, or a broker's URL: PPO-ML's meta
            training and adaptation then go over that bus, with the same results.
        settings: everything else.
        quiet: no progress bar.

    Returns:
        What `summary.json` holds.

    Raises:
        CaseStudyError: if `out` holds parts of a run with other settings or damaged ones, or the
            network cannot go over a bus.
        StoreError: if another process writes into `out`, or it cannot be written.
    """
    chosen = settings or CaseStudySettings(epochs=epochs)
    if over_bus is not None and chosen.policy.spec != PolicySpec.of(PAPER.spec):
        raise CaseStudyError(
            f"{INMF} is installed with {PAPER.spec.network}; over a bus hidden {chosen.hidden} "
            "cannot take its place, leave it as it is"
        )
    with locked(out):
        return _run(chosen, seeds, out, over_bus, quiet=quiet)


def _run(
    chosen: CaseStudySettings, seeds: int, out: Path, over_bus: str | None, *, quiet: bool
) -> dict[str, object]:
    parts = out / "parts"
    parts.mkdir(exist_ok=True)
    _claim(parts / "settings.json", asdict(chosen))
    with _progress(quiet=quiet) as progress:
        task = progress.add_task("case study", total=_ticks(chosen) * seeds)
        for seed in range(seeds):
            _run_seed(seed, chosen, parts, partial(progress.advance, task), over_bus)
    arms = {arm: _curves(arm, seeds, parts) for arm in ARMS}
    return _report(arms, chosen, seeds, out)


def _claim(path: Path, settings: dict[str, object]) -> None:
    text = json.dumps(settings, indent=2, sort_keys=True)
    if path.exists() and path.read_text() != text:
        raise CaseStudyError(
            f"{path.parent} holds a run with other settings; choose another --out or delete it"
        )
    path.write_text(text)


def _progress(*, quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
        disable=quiet,
        console=Console(stderr=True),
    )


def _ticks(settings: CaseStudySettings) -> int:
    """Steps of one seed, for the progress bar."""
    trained = settings.meta_iterations + settings.mixture_iterations + settings.source_epochs
    return settings.epochs * len(ARMS) + trained


def _run_seed(
    seed: int, settings: CaseStudySettings, parts: Path, advance: Advance, over_bus: str | None
) -> None:
    cost: dict[Start, int] = {
        "random": 0,
        "meta": settings.meta_iterations,
        "transfer": settings.source_epochs,
        "multitask": settings.mixture_iterations,
    }
    starts: dict[Start, Vector] = {}
    for start in STARTS:
        part = _part(
            parts / f"start-{start}-{seed}.safetensors",
            partial(_start_part, start, starts, settings, seed, over_bus=over_bus),
            advance,
            cost[start],
        )
        starts[start] = part["parameters"].astype(np.float32)
    for arm in ARMS:
        _part(
            parts / f"arm-{arm}-{seed}.safetensors",
            partial(_arm_part, arm, starts[START_OF[arm]], settings, seed, over_bus=over_bus),
            advance,
            settings.epochs,
        )


def _start_part(
    start: Start,
    earlier: Mapping[Start, Vector],
    settings: CaseStudySettings,
    seed: int,
    tick: Tick,
    *,
    over_bus: str | None,
) -> Part:
    if start == "meta" and over_bus is not None:
        return {"parameters": train_over_bus(over_bus, earlier["multitask"], settings, seed, tick)}
    return {"parameters": start_of(start, earlier, settings, seed, tick)}


def _arm_part(
    arm: Arm,
    start: Vector,
    settings: CaseStudySettings,
    seed: int,
    tick: Tick,
    *,
    over_bus: str | None,
) -> Part:
    if arm == ADAPTED_OVER_BUS and over_bus is not None:
        curves = adapt_over_bus(over_bus, start, settings, seed, tick)
    else:
        curves = run_arm(arm, start, settings, seed, tick)
    return {"reward_j": curves.reward_j, "entropy": curves.entropy}


def _part(path: Path, compute: Callable[[Tick], Part], advance: Advance, ticks: int) -> Part:
    """The arrays of a part, from its file or computed now; the file appears whole or not at all."""
    if path.exists():
        advance(ticks)
        return _loaded(path)
    start = process_time()
    part = compute(lambda: advance(1))
    part["cpu_s"] = np.array([process_time() - start])
    unfinished = path.with_suffix(".tmp")
    save_file(part, unfinished)
    unfinished.replace(path)
    return part


def _loaded(path: Path) -> Part:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CaseStudyError(
            f"{path} is damaged: {error}; delete it, and it is computed again"
        ) from error


def _curves(arm: Arm, seeds: int, parts: Path) -> ArmCurves:
    loaded = [_loaded(parts / f"arm-{arm}-{seed}.safetensors") for seed in range(seeds)]
    return ArmCurves(
        np.stack([part["reward_j"] for part in loaded]),
        np.stack([part["entropy"] for part in loaded]),
    )


def _cpu_s(seeds: int, parts: Path) -> float:
    names = [f"start-{start}" for start in STARTS] + [f"arm-{arm}" for arm in ARMS]
    paths = [parts / f"{name}-{seed}.safetensors" for name in names for seed in range(seeds)]
    return sum(float(_loaded(path)["cpu_s"][0]) for path in paths)


def _report(
    arms: dict[Arm, ArmCurves], settings: CaseStudySettings, seeds: int, out: Path
) -> dict[str, object]:
    from twintier.launch.case_study.fig6 import draw  # noqa: PLC0415  # matplotlib is an extra

    limits = bounds()
    summary: dict[str, object] = {
        "arms": summarise(arms),
        "bounds": limits,
        "settings": asdict(settings),
        "seeds": list(range(seeds)),
        "cpu_s": _cpu_s(seeds, out / "parts"),
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n")
    with (out / "curves.csv").open("w", newline="") as file:
        csv.writer(file).writerows(_rows(arms))
    draw(arms, limits["enumerate"], out)
    return summary


def _rows(arms: dict[Arm, ArmCurves]) -> Iterator[tuple[object, ...]]:
    yield ("arm", "epoch", "reward_j", "reward_ci95_j", "entropy_nat", "entropy_ci95_nat")
    for arm, curves in arms.items():
        columns = (
            curves.reward_j.mean(axis=0),
            half_width(curves.reward_j),
            curves.entropy.mean(axis=0),
            half_width(curves.entropy),
        )
        for epoch, values in enumerate(zip(*columns, strict=True)):
            yield (arm, epoch, *(f"{value:.6g}" for value in values))
