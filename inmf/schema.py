"""Which columns uploads of an INMF hold: its own fields, and those that the platform adds."""

import numpy as np

from twintier.inmf.contract import ACTION, LOG_PROB, REWARD, SAMPLE, Inmf
from twintier.inmf.episodes import Actions
from twintier.inmf.spec import ActionSpace, Array, Box, Discrete, Field, MultiBinary


def action_field(space: ActionSpace) -> Field:
    """The column of actions as they were carried out, (action_dim,)."""
    match space:
        case MultiBinary():
            return Field(ACTION, "flag", (space.width,))
        case Discrete():
            return Field(ACTION, "1", (1,), 0.0, float(space.choices - 1))
        case Box():
            return Field(ACTION, "1", (space.width,), min(space.low), max(space.high))


def state_fields(inmf: Inmf) -> tuple[Field, ...]:
    """What a decision is made on: measured and remembered."""
    return (*inmf.measured, *inmf.remembered)


def result_fields(inmf: Inmf) -> tuple[Field, ...]:
    """What carrying out an action gives: action, reward, and the INMF's outcomes."""
    reward = Field(REWARD, inmf.spec.reward_unit)
    return (action_field(inmf.spec.actions), reward, *inmf.outcome)


def trajectory_fields(inmf: Inmf, *, sampled: bool = False) -> tuple[Field, ...]:
    """Columns of a batch of trajectories; with samples and log-probabilities where asked for."""
    fields = (*state_fields(inmf), *result_fields(inmf))
    if not sampled:
        return fields
    return (*fields, Field(SAMPLE, "1", (inmf.spec.action_dim,)), Field(LOG_PROB, "1"))


def actions_of(space: ActionSpace, numbers: Array) -> Actions:
    """Actions (..., action_dim) in their own type, of numbers: bool, int64 or float32."""
    match space:
        case MultiBinary():
            return np.asarray(numbers) > 0.5
        case Discrete():
            return np.rint(numbers).astype(np.int64)
        case Box():
            return np.asarray(numbers, np.float32)
