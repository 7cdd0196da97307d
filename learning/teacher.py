"""Model-assisted first stage of meta training: learn from the emulator's answer to every action.

The emulator can say what each of the 2^A modes would have earned. For each component, the gap
between choosing it and not, around the others' best choice, is a label and a weight: a
cost-sensitive classification whose optimum has the sign of the mean gap over conditions. Policy
gradient alone stays for hundreds of iterations at one cooperating pair, half the bound, because a
slot that does not fit costs more than a second pair earns.
"""

import numpy as np

from twintier.inmf.actor import PolicySpec
from twintier.inmf.perception.baselines import all_modes
from twintier.inmf.spec import EpisodeBatch
from twintier.learning.errors import NumericsError
from twintier.learning.meta import MetaGradient
from twintier.learning.network import Array, backward, forward, layers_of
from twintier.learning.policy import Vector
from twintier.learning.rollout import collect

SHARPNESS = 1.702
"""A logistic of this slope is within 0.01 of the normal distribution function."""
LARGEST_GAP_J = 10.0
"""One slot weighs this much at most: the penalty of modes that do not fit."""


def gaps(values: Array) -> Array:
    """Worth of each component around the best choice of the others.

    Args:
        values: (..., 2^components) J of every choice, in the order of `all_modes`.

    Returns:
        (..., components) J.
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


def teacher_gradient(
    spec: PolicySpec, parameters: Vector, batch: EpisodeBatch, rng: np.random.Generator
) -> MetaGradient:
    """Gradient of the cost-sensitive loss on the states that the policy itself visits.

    Raises:
        NumericsError: if the emulated rewards are not finite.
    """
    rollout = collect(spec, parameters, batch, [rng])
    before = rollout.modes_before
    values = np.stack(
        [
            batch.rewards(before, np.broadcast_to(choice, before.shape))
            for choice in all_modes(spec.action_dim)
        ],
        axis=-1,
    )
    if not np.isfinite(values).all():
        raise NumericsError("emulated rewards are not finite; check the calibrated condition")
    gap = np.clip(gaps(values), -LARGEST_GAP_J, LARGEST_GAP_J).reshape(-1, spec.action_dim)
    layers = layers_of(spec.sizes, parameters)
    activations = forward(layers, rollout.observations.reshape(-1, spec.observation_dim))
    signed = np.sign(gap) * SHARPNESS * activations[-1]
    wrong = 1.0 / (1.0 + np.exp(np.clip(signed, -60.0, 60.0)))
    loss = float((np.abs(gap) * np.logaddexp(0.0, -signed)).mean())
    output_gradient = (-SHARPNESS * gap * wrong / gap.size).astype(np.float32)
    gradient = np.zeros_like(parameters)
    backward(layers, activations, output_gradient, layers_of(spec.sizes, gradient))
    reward = float(rollout.reward_j.mean())
    return MetaGradient(
        gradient=gradient,
        step_size_gradient=np.zeros_like(parameters),
        reward_before=reward,
        reward_after=reward,
        adaptation_loss=loss,
        slots=rollout.slots,
    )
