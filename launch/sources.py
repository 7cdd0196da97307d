"""Sources by name and option."""

from collections.abc import Sequence

from twintier.plvn_agent.source import Source
from twintier.plvn_agent.sources.registry import SourceOptions, kind_of
from twintier.protocol.ids import PlvnId

DEMO_NETWORKS = ("berlin", "braunschweig")
"""Of SUMO's wheel: what the demo runs on without a scenario."""

__all__ = ["DEMO_NETWORKS", "SourceOptions", "make_source", "possible_plvns"]


def make_source(options: SourceOptions) -> Source:
    """A source, not started yet.

    Raises:
        SourceError: if it is not installed, or the options do not do.
    """
    return kind_of(options.source).make(options)


def possible_plvns(options: SourceOptions) -> Sequence[PlvnId]:
    """Every PLVN that a source may turn out to have.

    Raises:
        SourceError: if it is not installed, or the options do not do.
    """
    return kind_of(options.source).possible_plvns(options)
