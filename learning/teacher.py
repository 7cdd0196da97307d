"""Model-assisted first stage of meta training: learn from the emulator's answer to every action.

The emulator can say what every choice would have earned. Of yes-or-no components, the gap between
yes and no around the others' best choice is a label and a weight: a cost-sensitive classification
whose optimum has the sign of the mean gap over conditions. Of one choice of several, the gap of
every pair of choices is. Policy gradient alone stays for hundreds of iterations where one slot of
a bold choice costs more than it earns.
"""

from typing import assert_never

import numpy as np

from twintier.inmf.episodes import EpisodeBatch, Scored
from twintier.inmf.spec import Box, Discrete, MultiBinary
from twintier.learning.engines.port import Array
from twintier.learning.errors import NumericsError, SettingsError
from twintier.learning.meta import MetaGradient
from twintier.learning.policy import Policy, Vector
from twintier.learning.rollout import collect

SHARPNESS = 1.702
"""A logistic of this slope is within 0.01 of the normal distribution function."""
LARGEST_GAP = 10.0
"""One slot weighs this much at most, in the reward's unit (assumed)."""


def gaps(values: Array) -> Array:
    """Worth of each component around the best choice of the others.

    Args:
        values: (..., 2^components) of every choice; bit i of its index is component i.

    Returns:
        (..., components), in the same unit.
    """
    components = int(np.log2(values.shape[-1]))
    best = values.argmax(axis=-1)
    worth = []
    for component in range(components):
        bit = 1 << component
        chosen = np.take_along_axis(values, (best | bit)[..., None], axis=-1)[..., 0]
        left = np.take_along_axis(values, (best & ~bit)[..., None], axis=-1)[..., 0]
        worth.append(chosen - left)
    return np.stack(worth, axis=-1)


def pair_gaps(values: Array) -> Array:
    """Worth of each choice over each other one, (..., choices, choices), of (..., choices)."""
    return values[..., :, None] - values[..., None, :]


def teacher_gradient(
    policy: Policy, parameters: Vector, batch: EpisodeBatch, rng: np.random.Generator
) -> MetaGradient:
    """Gradient of the cost-sensitive loss on the states that the policy itself visits.

    Raises:
        NumericsError: if the emulated rewards are not finite.
        SettingsError: if the emulator scores no choices.
    """
    if not isinstance(batch, Scored):
        raise SettingsError(
            f"episodes of {batch.spec.inmf} score no choices; leave the teacher's steps out"
        )
    rollout = collect(policy, parameters, batch, [rng])
    values = batch.scores(rollout.actions)
    if not np.isfinite(values).all():
        raise NumericsError("emulated rewards are not finite; check the calibrated condition")
    rows = rollout.observations.reshape(-1, rollout.observations.shape[-1])
    forward = policy.network.run(parameters, rows)
    loss, output_gradient = _loss_of(policy, forward.outputs, values.reshape(-1, values.shape[-1]))
    gradient = np.zeros_like(parameters)
    forward.write_gradient(output_gradient.astype(np.float32), gradient)
    reward = float(rollout.rewards.mean())
    return MetaGradient(
        gradient=gradient,
        step_size_gradient=np.zeros_like(parameters),
        reward_before=reward,
        reward_after=reward,
        adaptation_loss=loss,
        slots=rollout.slots,
    )


def _loss_of(policy: Policy, outputs: Array, values: Array) -> tuple[float, Array]:
    """The loss and its derivative by the outputs (rows, outputs), of worths (rows, choices)."""
    space = policy.spec.actions
    match space:
        case MultiBinary():
            gap = np.clip(gaps(values), -LARGEST_GAP, LARGEST_GAP)
            loss, slope = _cost_sensitive(gap, outputs)
            return loss, slope
        case Discrete():
            gap = np.clip(pair_gaps(values), -LARGEST_GAP, LARGEST_GAP)
            loss, slope = _cost_sensitive(gap, pair_gaps(outputs))
            by_output: Array = slope.sum(axis=-1) - slope.sum(axis=-2)
            return loss, by_output
        case Box():
            raise SettingsError("real numbers have no choices to score; use policy gradients")
        case _:
            assert_never(space)


def _cost_sensitive(gap: Array, outputs: Array) -> tuple[float, Array]:
    """Mean of |gap| log(1 + exp(-sign(gap) output)), sharpened, and its derivative by outputs."""
    signed = np.sign(gap) * SHARPNESS * outputs
    wrong = 1.0 / (1.0 + np.exp(np.clip(signed, -60.0, 60.0)))
    loss = float((np.abs(gap) * np.logaddexp(0.0, -signed)).mean())
    slope: Array = -SHARPNESS * gap * wrong / gap.size
    return loss, slope
