"""Fig. 6 of the paper, drawn from curves: reward and policy entropy against epochs.

An arm that stays far below the others would press them together, so the reward's axis is broken
where there is such a gap: the upper part shows what the arms compete for, the lower one the rest.
"""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from twintier.inmf.spec import Array
from twintier.launch.case_study.arms import Arm
from twintier.launch.case_study.summary import ArmCurves, half_width

STYLES: dict[Arm, tuple[str, str]] = {
    "PPO-random": ("#4c72b0", "-"),
    "PPO-ML": ("#c44e52", "-"),
    "PPO-TL": ("#55a868", "-"),
    "PPO-TL-reset": ("#55a868", "--"),
    "PPO-multitask": ("#8172b2", ":"),
}
FLOOR_J = 20.0
"""Below the reward of a coin: what lies lower is shown apart."""
HEADROOM_J = 4.0


def draw(arms: Mapping[Arm, ArmCurves], bound_j: float, folder: Path) -> None:
    """Write `fig6.png` and `fig6.pdf` into the folder."""
    with mpl.rc_context():
        mpl.rc("font", family="serif", size=8)
        mpl.rc("axes", linewidth=0.6)
        mpl.rc("lines", linewidth=1.0)
        mpl.rc("legend", fontsize=6.5)
        mpl.rc("pdf", fonttype=42)
        figure = Figure(figsize=(7.0, 2.9), layout="constrained")
        layout = figure.add_gridspec(2, 2, height_ratios=(3, 1), hspace=0.04)
        right = figure.add_subplot(layout[:, 1])
        lowest = min(_lowest(curves) for curves in arms.values())
        if lowest < FLOOR_J:
            left = figure.add_subplot(layout[0, 0])
            below = figure.add_subplot(layout[1, 0], sharex=left)
            _break(left, below, (lowest - HEADROOM_J, FLOOR_J), bound_j + HEADROOM_J)
        else:
            left = below = figure.add_subplot(layout[:, 0])
        for arm, curves in arms.items():
            for axes in {left, below}:
                _band(axes, arm, curves.reward_j)
            _band(right, arm, curves.entropy)
        _bound(left, bound_j)
        _finish(below, "(a) Reward")
        left.set_ylabel("Reward of an episode (J)")
        left.grid(linewidth=0.3, color="0.85")
        _finish(right, "(b) Policy entropy")
        right.set_ylabel("Policy entropy (nats)")
        right.legend(loc="upper right", frameon=False, ncols=2)
        figure.savefig(folder / "fig6.png", dpi=200)
        figure.savefig(folder / "fig6.pdf")


def _lowest(curves: ArmCurves) -> float:
    """Lowest point of the band of an arm."""
    return float((curves.reward_j.mean(axis=0) - half_width(curves.reward_j)).min())


def _break(above: Axes, below: Axes, low: tuple[float, float], top: float) -> None:
    """Make one broken axis of two."""
    above.set_ylim(FLOOR_J, top)
    below.set_ylim(*low)
    above.spines.bottom.set_visible(False)
    below.spines.top.set_visible(False)
    above.tick_params(bottom=False, labelbottom=False)
    for axes, height in ((above, 0), (below, 1)):
        axes.plot(
            [0, 1],
            [height, height],
            transform=axes.transAxes,
            marker=[(-1, -0.6), (1, 0.6)],
            markersize=5,
            markeredgewidth=0.6,
            color="k",
            linestyle="none",
            clip_on=False,
        )


def _bound(axes: Axes, bound_j: float) -> None:
    axes.axhline(bound_j, color="0.5", linewidth=0.6, linestyle=(0, (1, 2)))
    axes.text(
        0.99,
        bound_j,
        "clairvoyant",
        ha="right",
        va="bottom",
        fontsize=6,
        color="0.4",
        transform=axes.get_yaxis_transform(),
    )


def _band(axes: Axes, arm: Arm, values: Array) -> None:
    color, line = STYLES[arm]
    mean, half = values.mean(axis=0), half_width(values)
    epochs = np.arange(mean.size)
    axes.plot(epochs, mean, line, color=color, label=arm)
    axes.fill_between(epochs, mean - half, mean + half, color=color, alpha=0.2, linewidth=0)
    axes.set_xlim(0, epochs.size - 1)


def _finish(axes: Axes, title: str) -> None:
    axes.set_xlabel(f"Epoch\n{title}")
    axes.grid(linewidth=0.3, color="0.85")
