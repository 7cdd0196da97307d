"""Which PLVNs and edge servers there are, and who owns which twin. No I/O."""

from collections import Counter
from dataclasses import dataclass, field, replace

from twintier.cloud_twin.placement import EdgeServer, nearest_with_room
from twintier.protocol.ids import CategoryKey, EdgeId, InmfId, PlvnId
from twintier.protocol.messages import AttributesReported, Grant, MetaModelMatch, Site
from twintier.protocol.values import Fence


@dataclass(frozen=True, slots=True)
class PlvnRecord:
    """A PLVN as the registry keeps it, on disk too."""

    plvn: PlvnId
    site: Site
    requested_inmfs: tuple[InmfId, ...]
    edge: EdgeId
    fence: Fence
    category: CategoryKey | None = None


@dataclass(slots=True)
class Registry:
    """PLVNs and edge servers, with what is known of each in this run."""

    plvns: dict[PlvnId, PlvnRecord] = field(default_factory=dict)
    servers: dict[EdgeId, EdgeServer] = field(default_factory=dict)
    confirmed: dict[PlvnId, Fence] = field(default_factory=dict)
    """Fence under which an edge server said that it hosts the twin."""
    waiting: dict[PlvnId, bytes] = field(default_factory=dict)
    """Correlation id of a registration that is granted once the edge server has confirmed."""
    attributes: dict[PlvnId, AttributesReported] = field(default_factory=dict)
    sent_matches: dict[PlvnId, tuple[MetaModelMatch, ...]] = field(default_factory=dict)
    category_versions: dict[PlvnId, int] = field(default_factory=dict)

    def load(self) -> Counter[EdgeId]:
        """Twins of each edge server."""
        return Counter(record.edge for record in self.plvns.values())

    def place(
        self, plvn: PlvnId, site: Site, requested_inmfs: tuple[InmfId, ...], now: float
    ) -> PlvnRecord | None:
        """Where the PLVN belongs; a present owner that is there keeps it.

        Returns:
            The record, with a new fence if the owner is new; None if no server has room.
        """
        known = self.plvns.get(plvn)
        if known is not None and self.is_online(known.edge, now):
            return replace(known, site=site, requested_inmfs=requested_inmfs)
        server = nearest_with_room(site, self.servers.values(), self.load(), now)
        if server is None:
            return None
        if known is None:
            return PlvnRecord(plvn, site, requested_inmfs, server.edge, Fence(1))
        fence = known.fence if known.edge == server.edge else Fence(known.fence + 1)
        return replace(
            known, site=site, requested_inmfs=requested_inmfs, edge=server.edge, fence=fence
        )

    def is_online(self, edge: EdgeId, now: float) -> bool:
        """Whether the edge server's lease still runs."""
        server = self.servers.get(edge)
        return server is not None and server.lease_until > now

    def is_owner(self, plvn: PlvnId, edge: EdgeId, fence: Fence | None) -> bool:
        """Whether this edge server speaks for the twin under the newest fence."""
        record = self.plvns.get(plvn)
        return record is not None and record.edge == edge and record.fence == fence

    def hosted(self, plvns: set[PlvnId], inmf: InmfId, now: float) -> list[PlvnId]:
        """Those of the PLVNs whose twin can take part in meta training of an INMF now."""
        return sorted(
            p
            for p in plvns
            if (record := self.plvns.get(p)) is not None
            and inmf in record.requested_inmfs
            and self.confirmed.get(p) == record.fence
            and self.is_online(record.edge, now)
        )

    def grant(self, plvn: PlvnId, valid_s: float) -> Grant:
        """The grant in force, prolonged."""
        record = self.plvns[plvn]
        server = self.servers.get(record.edge)
        key = "" if server is None else server.verify_key
        return Grant(plvn=plvn, edge=record.edge, fence=record.fence, valid_s=valid_s, edge_key=key)
