"""Fig. 6 of the paper, drawn from curves: reward and policy entropy against epochs."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inmf.trajectory import Array
from launch.case_study_arms import Arm
from launch.case_study_summary import ArmCurves, half_width

STYLES: dict[Arm, tuple[str, str]] = {
    "PPO-random": ("#4c72b0", "-"),
    "PPO-ML": ("#c44e52", "-"),
    "PPO-TL": ("#55a868", "-"),
    "PPO-TL-reset": ("#55a868", "--"),
    "PPO-multitask": ("#8172b2", ":"),
}


def draw(arms: Mapping[Arm, ArmCurves], bound_j: float, folder: Path) -> None:
    """Write `fig6.png` and `fig6.pdf` into the folder."""
    with mpl.rc_context():
        mpl.rc("font", family="serif", size=8)
        mpl.rc("axes", linewidth=0.6)
        mpl.rc("lines", linewidth=1.0)
        mpl.rc("legend", fontsize=6.5)
        mpl.rc("pdf", fonttype=42)
        figure = Figure(figsize=(7.0, 2.5), layout="constrained")
        left, right = figure.subplots(1, 2)
        for arm, curves in arms.items():
            _band(left, arm, curves.reward_j)
            _band(right, arm, curves.entropy)
        left.axhline(bound_j, color="0.5", linewidth=0.6, linestyle=(0, (1, 2)))
        left.text(
            0.99,
            bound_j,
            "clairvoyant",
            ha="right",
            va="bottom",
            fontsize=6,
            color="0.4",
            transform=left.get_yaxis_transform(),
        )
        _finish(left, "Reward of an episode (J)", "(a) Reward")
        _finish(right, "Policy entropy (nats)", "(b) Policy entropy")
        left.legend(loc="lower right", frameon=False)
        figure.savefig(folder / "fig6.png", dpi=200)
        figure.savefig(folder / "fig6.pdf")


def _band(axes: Axes, arm: Arm, values: Array) -> None:
    color, line = STYLES[arm]
    mean, half = values.mean(axis=0), half_width(values)
    epochs = np.arange(mean.size)
    axes.plot(epochs, mean, line, color=color, label=arm)
    axes.fill_between(epochs, mean - half, mean + half, color=color, alpha=0.2, linewidth=0)


def _finish(axes: Axes, label: str, title: str) -> None:
    axes.set_xlabel(f"Epoch\n{title}")
    axes.set_ylabel(label)
    axes.margins(x=0)
    axes.grid(linewidth=0.3, color="0.85")
