"""Sources by name and option."""

from collections.abc import Sequence

from twintier.plvn_agent.source import Source, SourceError, failure_of
from twintier.plvn_agent.sources.registry import SourceOptions, kind_of, problem_of
from twintier.protocol.ids import PlvnId

DEMO_NETWORKS = ("berlin", "braunschweig")
"""Of SUMO's wheel: what the demo runs on without a scenario."""

__all__ = [
    "DEMO_NETWORKS",
    "SourceOptions",
    "make_source",
    "possible_plvns",
    "problem_of",
    "start_source",
]


def make_source(options: SourceOptions) -> Source:
    """A source, not started yet.

    Raises:
        SourceError: if it is not installed, cannot run here, or the options do not do.
    """
    problem = problem_of(options.source)
    if problem is not None:
        raise SourceError(problem)
    kind = kind_of(options.source)
    try:
        return kind.make(options)
    except SourceError:
        raise
    except Exception as error:  # whatever a package raises is its source's fault
        raise SourceError(failure_of(f"source {options.source!r}", "be made", error)) from error


async def start_source(source: Source) -> None:
    """Start a source.

    Raises:
        SourceError: if that is impossible.
    """
    try:
        await source.start()
    except SourceError:
        raise
    except Exception as error:  # whatever a package raises is its source's fault
        raise SourceError(failure_of(f"source {source.clock_id!r}", "start", error)) from error


def possible_plvns(options: SourceOptions) -> Sequence[PlvnId]:
    """Every PLVN that a source may turn out to have.

    Raises:
        SourceError: if it is not installed, or the options do not do.
    """
    return kind_of(options.source).possible_plvns(options)
