"""Graphs by which agents run networks that are not the built-in one, made once a server. No I/O."""

from dataclasses import dataclass, field

from twintier.edge_twin.jobs import ExportJob
from twintier.edge_twin.keys import Exporting
from twintier.inmf.registry import inmf_of
from twintier.inmf.spec import TorchModule
from twintier.protocol.ids import InmfId
from twintier.runtime.effects import Effect, StartJob

NO_PROGRAM = b""
"""Of the built-in network, which every agent has."""


@dataclass(slots=True)
class Programs:
    """Graphs by INMF, and those that are being made."""

    made: dict[InmfId, bytes] = field(default_factory=dict)
    under_way: set[InmfId] = field(default_factory=set)

    def of(self, inmf: InmfId) -> bytes | None:
        """The graph of an INMF's network, empty for the built-in one; None before it is made."""
        if not isinstance(inmf_of(inmf).spec.network, TorchModule):
            return NO_PROGRAM
        return self.made.get(inmf)

    def make(self, inmf: InmfId) -> list[Effect]:
        """Make the graph in a worker, once."""
        if inmf in self.under_way:
            return []
        self.under_way.add(inmf)
        return [StartJob(Exporting(inmf), ExportJob(inmf))]

    def done(self, inmf: InmfId, program: bytes) -> None:
        """Keep a graph that was made."""
        self.under_way.discard(inmf)
        self.made[inmf] = program

    def failed(self, inmf: InmfId) -> None:
        """The next match asks for it again."""
        self.under_way.discard(inmf)
