"""From curves to what judges Fig. 6: means with 95 % intervals, epochs to the goal, bounds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from twintier.inmf.evaluate import mean_reward
from twintier.inmf.perception.baselines import enumerate_paper
from twintier.inmf.perception.paper import TASK_LOW, PaperEpisodes
from twintier.inmf.spec import Array
from twintier.launch.case_study.arms import Arm

FINAL_EPOCHS = 20
ENTROPY_EPOCHS = 5
GOAL = 0.95
"""Share of PPO-random's converged reward that an arm shall reach."""
BOUND_EPISODES = 400
STUDENT_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179)
"""Quantiles of Student's t for 1, 2, ... degrees of freedom; beyond them the normal's 1.96."""


@dataclass(frozen=True, slots=True)
class ArmCurves:
    """All seeds of one arm, (seeds, epochs) each."""

    reward_j: Array
    entropy: Array


def half_width(values: Array) -> Array:
    """Half of the 95 % interval of the mean over the first axis; 0 for a single value."""
    count = values.shape[0]
    if count < 2:
        return np.zeros(values.shape[1:])
    quantile = STUDENT_975[count - 2] if count - 2 < len(STUDENT_975) else 1.96
    return np.asarray(quantile * values.std(axis=0, ddof=1) / np.sqrt(count))


def interval(values: Array) -> dict[str, float]:
    """Mean of one number a seed, with its interval."""
    return {"mean": float(values.mean()), "ci95": float(half_width(values))}


def epochs_to(curve: Array, goal: float) -> int | None:
    """First epoch at which the mean curve is at the goal, or None."""
    reached = np.flatnonzero(curve >= goal)
    return int(reached[0]) if reached.size else None


def summarise(arms: Mapping[Arm, ArmCurves]) -> dict[str, dict[str, object]]:
    """What each arm did."""
    goal = GOAL * float(arms["PPO-random"].reward_j[:, -FINAL_EPOCHS:].mean())
    return {arm: _one(curves, goal) for arm, curves in arms.items()}


def _one(curves: ArmCurves, goal: float) -> dict[str, object]:
    first = curves.reward_j[:, 0]
    return {
        "reward_epoch0": float(first.mean()),
        "reward_epoch0_ci95": float(half_width(first)),
        "epochs_to_95": epochs_to(curves.reward_j.mean(axis=0), goal),
        "reward_final": interval(curves.reward_j[:, -FINAL_EPOCHS:].mean(axis=1)),
        "entropy_first": float(curves.entropy[:, :ENTROPY_EPOCHS].mean()),
        "entropy_last": float(curves.entropy[:, -ENTROPY_EPOCHS:].mean()),
    }


def bounds() -> dict[str, float]:
    """Returns of task 1 that need no learning; enumeration is the clairvoyant bound here."""
    batch = PaperEpisodes(TASK_LOW, BOUND_EPISODES, np.random.default_rng(0))
    shape = batch.objects.shape
    choices = {
        "enumerate": enumerate_paper(batch),
        "always_cp": np.ones(shape, np.bool_),
        "always_sp": np.zeros(shape, np.bool_),
        "random": np.random.default_rng(1).random(shape) < 0.5,
    }
    slots = batch.spec.slots
    return {name: slots * mean_reward(batch, modes) for name, modes in choices.items()}
