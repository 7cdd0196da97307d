"""Sources by name and option."""

from collections.abc import Sequence

from twintier.plvn_agent.source import Source, SourceError
from twintier.plvn_agent.sources.registry import SourceOptions, installed, kind_of, problem_of
from twintier.protocol.ids import PlvnId

DEMO_NETWORKS = ("berlin", "braunschweig")
"""Of SUMO's wheel: what the demo runs on without a scenario."""

__all__ = [
    "DEMO_NETWORKS",
    "SourceOptions",
    "check_source",
    "make_source",
    "possible_plvns",
    "problem_of",
]


def check_source(name: str) -> None:
    """Raise unless there is a source of that name.

    Raises:
        SourceError: with the names that there are.
    """
    if name not in installed():
        known = ", ".join(sorted(installed()))
        raise SourceError(f"no source is named {name!r}; choose one of {known}")


def make_source(options: SourceOptions) -> Source:
    """A source, not started yet.

    Raises:
        SourceError: if it is not installed, cannot run here, or the options do not do.
    """
    problem = problem_of(options.source)
    if problem is not None:
        raise SourceError(problem)
    return kind_of(options.source).make(options)


def possible_plvns(options: SourceOptions) -> Sequence[PlvnId]:
    """Every PLVN that a source may turn out to have.

    Raises:
        SourceError: if it is not installed, or the options do not do.
    """
    return kind_of(options.source).possible_plvns(options)
