"""State machines as tables: whole, reachable, and strict about events."""

from enum import Enum
from typing import TypeVar

import pytest

from twintier.cloud_twin.round_states import TRAINING_ROUND, RoundState
from twintier.runtime.delivery.states import LARGE_MESSAGE, UPLOAD_STREAM, LargeState, UploadState
from twintier.runtime.machine import ImpossibleEventError, Machine


class Door(Enum):
    OPEN = "open"
    SHUT = "shut"
    WALLED_UP = "walled up"


class Push(Enum):
    SLAM = "somebody slams it"
    BRICKS = "bricks come"


DOOR = Machine(
    "door",
    "Of a house.",
    Door.OPEN,
    {
        Door.OPEN: {Push.SLAM: Door.SHUT},
        Door.SHUT: {Push.BRICKS: Door.WALLED_UP},
        Door.WALLED_UP: {},
    },
)
S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)


def test_an_event_leads_where_the_table_says() -> None:
    assert DOOR.after(Door.OPEN, Push.SLAM) is Door.SHUT


@pytest.mark.parametrize(
    ("state", "event", "reason"),
    [
        (Door.OPEN, Push.BRICKS, "door: bricks come cannot come in state open, only somebody"),
        (Door.WALLED_UP, Push.SLAM, "cannot come in state walled up, only nothing"),
    ],
)
def test_an_event_without_a_transition_is_a_fault(state: Door, event: Push, reason: str) -> None:
    with pytest.raises(ImpossibleEventError, match=reason):
        DOOR.after(state, event)


def test_a_machine_is_drawn_from_its_table() -> None:
    assert DOOR.drawn().splitlines() == [
        "stateDiagram-v2",
        "    [*] --> open",
        "    open --> shut: somebody slams it",
        "    shut --> walled_up: bricks come",
        "    walled_up --> [*]",
    ]


def reached(machine: Machine[S, E]) -> set[S]:
    found = {machine.initial}
    while following := {t for s in found for t in machine.transitions[s].values()} - found:
        found |= following
    return found


def test_every_state_has_its_line_and_can_be_reached() -> None:
    assert reached(TRAINING_ROUND) == TRAINING_ROUND.transitions.keys() == set(RoundState)
    assert reached(UPLOAD_STREAM) == UPLOAD_STREAM.transitions.keys() == set(UploadState)
    assert reached(LARGE_MESSAGE) == LARGE_MESSAGE.transitions.keys() == set(LargeState)
