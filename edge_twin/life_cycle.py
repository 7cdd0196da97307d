"""Where an individual model may stand on its way, as states and a table of their transitions.

The table is what the code obeys and what the documentation draws.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from twintier.edge_twin.cusum import Alarm


@dataclass(frozen=True, slots=True)
class Waiting:
    """For a meta model, or for true slots since `since_slot`; what acts goes on acting."""

    since_slot: int
    slots_needed: int


@dataclass(frozen=True, slots=True)
class Training:
    """A job makes the model of exchange number `exchange`; 0 is before the first."""

    attempt: int
    exchange: int
    since_slot: int


@dataclass(frozen=True, slots=True)
class Exchanging:
    """A candidate acts in the PLVN until enough true slots are back."""

    exchange: int
    since_slot: int
    version: int
    slots: int = 0


@dataclass(frozen=True, slots=True)
class Probation:
    """The final model acts; its reward is held against the baseline's."""

    blocks: int = 0
    reward: float = 0.0
    """Sum of measured rewards."""
    rule_reward: float = 0.0
    """Sum of what the baseline would have earned on the same slots."""
    slots: int = 0

    def add(self, slots: int, reward: float, rule_reward: float) -> "Probation":
        """One more block: its slots, and sums of rewards."""
        return Probation(
            self.blocks + 1,
            self.reward + reward,
            self.rule_reward + rule_reward,
            self.slots + slots,
        )


@dataclass(frozen=True, slots=True)
class InForce:
    """Probation passed; the watch looks for change."""


@dataclass(frozen=True, slots=True)
class Testing:
    """The watch has alarmed; a job tells a change from a biased calibration."""

    attempt: int
    alarm: Alarm
    then: Probation | InForce
    """Where it goes on if nothing has changed."""


State = Waiting | Training | Exchanging | Probation | InForce | Testing
Happening = Literal[
    "restored",
    "begun",
    "begun by sampling",
    "candidate made",
    "stopped by the guard",
    "true slots back",
    "model made",
    "given up",
    "block",
    "passed",
    "rolled back",
    "alarm",
    "unchanged",
    "changed",
    "category changed",
    "job failed",
    "refused",
    "inmf failed",
]

_ANYWHERE: Mapping[Happening, tuple[type[State], ...]] = {
    "refused": (Waiting,),
    "inmf failed": (Waiting,),
}
TRANSITIONS: Mapping[type[State], Mapping[Happening, tuple[type[State], ...]]] = {
    Waiting: {
        "restored": (InForce, Probation),
        "begun": (Training,),
        "begun by sampling": (Exchanging,),
        **_ANYWHERE,
    },
    Training: {
        "candidate made": (Exchanging,),
        "model made": (Probation,),
        "given up": (Waiting,),
        "job failed": (Waiting,),
        **_ANYWHERE,
    },
    Exchanging: {
        "block": (Exchanging,),
        "stopped by the guard": (Exchanging,),
        "true slots back": (Training,),
        **_ANYWHERE,
    },
    Probation: {
        "block": (Probation,),
        "passed": (InForce,),
        "rolled back": (Waiting,),
        "alarm": (Testing,),
        "changed": (Waiting,),
        "category changed": (Waiting,),
        **_ANYWHERE,
    },
    InForce: {
        "restored": (Probation,),
        "alarm": (Testing,),
        "changed": (Waiting,),
        "category changed": (Waiting,),
        **_ANYWHERE,
    },
    Testing: {
        "unchanged": (Probation, InForce),
        "job failed": (Probation, InForce),
        "changed": (Waiting,),
        **_ANYWHERE,
    },
}
"""From a state, what may happen there, to the states that may follow.

States carry what they need, and after a test two may follow, so this is no `runtime.machine`.
"""


class IllegalTransitionError(AssertionError):
    """The code asked for a transition that the table does not have: a fault of ours."""


def follows(state: State, happening: Happening, then: State) -> State:
    """The state that follows, if the table allows it.

    Raises:
        IllegalTransitionError: if it does not.
    """
    if type(then) not in TRANSITIONS[type(state)].get(happening, ()):
        raise IllegalTransitionError(
            f"{type(then).__name__} does not follow {type(state).__name__} on {happening!r}"
        )
    return then


@dataclass(frozen=True, slots=True)
class LifeCycle:
    """The table as a page draws it."""

    name: str
    says: str

    def drawn(self) -> str:
        """A mermaid diagram."""
        lines = [
            f"    {state.__name__} --> {then.__name__}: {happening}"
            for state, moves in TRANSITIONS.items()
            for happening, following in moves.items()
            for then in following
        ]
        return "\n".join(["stateDiagram-v2", "    [*] --> Waiting", *lines])


INDIVIDUAL_MODEL = LifeCycle(
    "individual model",
    "The model of one PLVN and INMF at its edge twin (`adaptation.py`, Fig. 5(b)).",
)
