"""The rounds of one training as a state machine: open, between two, or paused."""

from enum import Enum

from twintier.runtime.machine import Machine


class RoundState(Enum):
    """Of a training."""

    BETWEEN = "between rounds"
    OPEN = "open"
    """Twins have the meta model, and their rows are counted."""
    PAUSED = "paused"
    """There are no twins to ask, or none has answered for several rounds."""
    FINISHED = "finished"
    """Its model is in the library."""


class RoundEvent(Enum):
    """What happens to a training."""

    SAMPLED = "twins are sampled"
    STEPPED = "the round ends with a step"
    EMPTY = "the round ends without a good row"
    PAUSED = "nobody to ask, or no answer for several rounds"
    FINISHED = "its iterations, its gain or its time are over"


TRAINING_ROUND = Machine(
    "training round",
    "A training at the cloud twin, iteration by iteration (`meta_training.py`, Fig. 5(a)).",
    RoundState.BETWEEN,
    {
        RoundState.BETWEEN: {
            RoundEvent.SAMPLED: RoundState.OPEN,
            RoundEvent.PAUSED: RoundState.PAUSED,
            RoundEvent.FINISHED: RoundState.FINISHED,
        },
        RoundState.OPEN: {
            RoundEvent.STEPPED: RoundState.BETWEEN,
            RoundEvent.EMPTY: RoundState.BETWEEN,
            RoundEvent.FINISHED: RoundState.FINISHED,
        },
        RoundState.PAUSED: {
            RoundEvent.SAMPLED: RoundState.OPEN,
            RoundEvent.PAUSED: RoundState.PAUSED,
            RoundEvent.FINISHED: RoundState.FINISHED,
        },
        RoundState.FINISHED: {},
    },
)
