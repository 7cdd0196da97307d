"""Which sources are installed: ours and those of other packages, by entry points.

Group `twintier.source`; the name of an entry point is the source's, its value a class or a function
without arguments that gives a `SourceKind`. Nothing is imported before it is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Protocol, runtime_checkable

from twintier.inmf import plugins
from twintier.plvn_agent.source import Source, SourceError
from twintier.protocol.ids import PlvnId

GROUP = "twintier.source"


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Which vehicles, and under which conditions; a source ignores what it has no use for."""

    source: str
    """Source of vehicles: builtin, sumo, or one that is installed."""
    network: str = ""
    """What it runs on: `berlin`, `braunschweig` or the path of a SUMO configuration for sumo."""
    plvns: int = 4
    """PLVNs of a source that makes them up, such as builtin."""
    rsus: int = 4
    """PLVNs of a source that finds them on roads: RSUs of a network for sumo."""
    seed: int = 1
    """Seed of the source."""
    start_hour: float = 8.0
    """Civil hour of the first simulated second."""
    constant: bool = False
    """Whether demand and hidden conditions stay as they are."""
    city: str = ""
    """City of a scenario, for ids and categories; else the scenario's name."""
    name: str = ""
    """Beginning of the ids of a scenario's PLVNs and of its store; else city and road."""
    warmup_s: int = 600
    """Simulated seconds of traffic before operation, from the first departure on; RSUs are placed
    after half of them."""
    duration_sim_s: float = 7200.0
    """Simulated seconds of online operation that demand must last for."""


@runtime_checkable
class SourceKind(Protocol):
    """Makes sources of one kind."""

    def make(self, options: SourceOptions) -> Source:
        """A source, not started yet.

        Raises:
            SourceError: if the options do not do.
        """
        ...

    def possible_plvns(self, options: SourceOptions) -> Sequence[PlvnId]:
        """Every PLVN that such a source may turn out to have, before it starts.

        Raises:
            SourceError: if the options do not do.
        """
        ...


@runtime_checkable
class ParticularKind(SourceKind, Protocol):
    """A kind that wants more of a machine than its package, such as a system's libraries."""

    def problem(self) -> str | None:
        """Why its sources cannot run on this machine, and what mends it; None if they can."""
        ...


def installed() -> dict[str, EntryPoint]:
    """Entry points of all sources by name."""
    return plugins.installed(GROUP)


def kind_of(name: str) -> SourceKind:
    """The kind of source of this name.

    Raises:
        SourceError: if none is installed, or its package cannot be loaded.
    """
    among = installed()
    try:
        made = plugins.made("source", name, among)
    except plugins.PluginError as error:
        raise SourceError(str(error)) from error
    if not isinstance(made, SourceKind):
        raise SourceError(f"{among[name].value} is no kind of source")
    return made


def problem_of(name: str) -> str | None:
    """Why sources of this name cannot run on this machine, and what mends it; None if they can.

    Raises:
        SourceError: if none is installed, or its package cannot be loaded.
    """
    kind = kind_of(name)
    return kind.problem() if isinstance(kind, ParticularKind) else None
