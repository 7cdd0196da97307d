"""State machines as tables: which event leads from a state to which other.

The code that runs a machine and the page that draws it read the same table, so neither can differ
from the other. What is done in a transition stands where the event is noticed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)


class ImpossibleEventError(Exception):
    """An event in a state that has no transition for it: a fault of the code that reports it."""


class Drawable(Protocol):
    """A machine as far as a page needs it, whatever its states."""

    @property
    def name(self) -> str:
        """In two words."""
        ...

    @property
    def says(self) -> str:
        """What it is for."""
        ...

    def drawn(self) -> str:
        """A mermaid diagram."""
        ...


@dataclass(frozen=True, slots=True)
class Machine(Generic[S, E]):
    """One kind of state machine; its instances are their states."""

    name: str
    says: str
    """What it is for, in a sentence."""
    initial: S
    transitions: Mapping[S, Mapping[E, S]]
    """For every state; one without transitions is the last."""

    def after(self, state: S, event: E) -> S:
        """The state that an event leads to.

        Raises:
            ImpossibleEventError: if the table has no such transition.
        """
        following = self.transitions[state].get(event)
        if following is None:
            known = ", ".join(str(other.value) for other in self.transitions[state]) or "nothing"
            raise ImpossibleEventError(
                f"{self.name}: {event.value} cannot come in state {state.value}, only {known}; "
                "correct the table or whoever reports the event"
            )
        return following

    def drawn(self) -> str:
        """The machine as a mermaid diagram."""
        lines = ["stateDiagram-v2", f"    [*] --> {_word(self.initial)}"]
        for state, following in self.transitions.items():
            lines += [
                f"    {_word(state)} --> {_word(target)}: {event.value}"
                for event, target in following.items()
            ]
            if not following:
                lines.append(f"    {_word(state)} --> [*]")
        return "\n".join(lines)


def _word(state: Enum) -> str:
    return str(state.value).replace(" ", "_")
