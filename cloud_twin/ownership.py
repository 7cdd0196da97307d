"""Registration, placement, grants: which edge server hosts a twin, under which fence. No I/O."""

from collections.abc import Collection, Sequence

from twintier.cloud_twin.keys import Placement, Timer
from twintier.cloud_twin.placement import EdgeServer
from twintier.cloud_twin.registry import PlvnRecord, Registry
from twintier.cloud_twin.settings import CloudSettings
from twintier.protocol.address import Address
from twintier.protocol.ids import EdgeId, InmfId, PlvnId
from twintier.protocol.messages import (
    EdgeStatusReported,
    GrantRenewed,
    RegistrationGranted,
    RegistrationRefused,
    RegistrationRequested,
    TwinPlaced,
)
from twintier.runtime.effects import CancelTimer, Count, Effect, Publish, Save, StartTimer


class Ownership:
    """Gives every twin to one edge server that is there, and says so until it is heard."""

    def __init__(
        self, settings: CloudSettings, registry: Registry, known_inmfs: Collection[InmfId]
    ) -> None:
        self.settings = settings
        self.registry = registry
        self.known_inmfs = known_inmfs
        self._awaiting = False
        """Whether edge servers may still report after a start."""

    def on_started(self) -> list[Effect]:
        """Edge servers are about to report."""
        self._awaiting = True
        return [StartTimer(Timer.SERVERS, self.settings.edges_wait_s)]

    def on_waited(self, now: float) -> list[Effect]:
        """Whoever has not reported by now is gone."""
        self._awaiting = False
        return self.replace_orphans(now)

    def on_registration(
        self, plvn: PlvnId, request: RegistrationRequested, cid: bytes, now: float
    ) -> Sequence[Effect]:
        """A PLVN asks to be managed; `cid` is what the answer shall carry."""
        to = Address(plvn=plvn)
        unknown = self._unknown(request.requested_inmfs)
        if len(unknown) == len(request.requested_inmfs):
            known = ", ".join(sorted(self.known_inmfs))
            reason = f"INMF {unknown[0]!r} is not managed here; known are {known}"
            refusal = RegistrationRefused(code="unknown_inmf", reason=reason, retry_s=60.0)
            return [Publish(refusal, to, cid=cid)]
        before = self.registry.plvns.get(plvn)
        record = self._place(plvn, request, before, now)
        if isinstance(record, RegistrationRefused):
            return [Publish(record, to, cid=cid), Count("registrations_refused")]
        self.registry.plvns[plvn] = record
        changed: list[Effect] = [Save(record)] if record != before else []
        if before is not None and before.requested_inmfs != record.requested_inmfs:
            self.registry.sent_matches.pop(plvn, None)
        if self.registry.confirmed.get(plvn) == record.fence:
            changed += [self._placement(plvn)] if changed else []
            return [*changed, self._granted(plvn, cid)]
        self.registry.waiting[plvn] = cid  # granted once the edge server listens
        return [*changed, *self.place_again(plvn)]

    def _place(
        self, plvn: PlvnId, request: RegistrationRequested, before: PlvnRecord | None, now: float
    ) -> PlvnRecord | RegistrationRefused:
        record = self.registry.place(plvn, request.site, request.requested_inmfs, now)
        if record is None:
            return self._no_server()
        moves = before is None or before.edge != record.edge
        missing = self._missing(before, now) if self._awaiting and moves else None
        if missing is None:
            return record
        reason = f"{missing}; ask again"
        return RegistrationRefused(code="no_edge_server", reason=reason, retry_s=1.0)

    def _missing(self, before: PlvnRecord | None, now: float) -> str | None:
        """Who may still report before a PLVN is placed anew."""
        servers, expected = self.registry.servers, self.settings.expected_edges
        if before is not None and before.edge not in servers:
            return f"edge server {before.edge} has not reported yet"
        online = sum(self.registry.is_online(edge, now) for edge in servers)
        return None if online >= expected else f"{online} of {expected} edge servers are online"

    def _granted(self, plvn: PlvnId, cid: bytes) -> Publish:
        grant = self.registry.grant(plvn, self.settings.grant_valid_s)
        unknown = self._unknown(self.registry.plvns[plvn].requested_inmfs)
        granted = RegistrationGranted(grant=grant, unknown_inmfs=unknown)
        return Publish(granted, Address(plvn=plvn), cid=cid, fence=grant.fence)

    def _unknown(self, requested: Sequence[InmfId]) -> tuple[InmfId, ...]:
        """INMFs that nobody here knows: they cost themselves only."""
        return tuple(inmf for inmf in requested if inmf not in self.known_inmfs)

    def _renewed(self, plvn: PlvnId) -> Publish:
        grant = self.registry.grant(plvn, self.settings.grant_valid_s)
        return Publish(GrantRenewed(grant=grant), Address(plvn=plvn), fence=grant.fence)

    def _no_server(self) -> RegistrationRefused:
        if self.registry.servers:
            return RegistrationRefused(
                code="no_capacity",
                reason=f"none of {len(self.registry.servers)} edge servers is online with room",
                retry_s=2.0,
            )
        reason = "no edge server has reported yet"
        return RegistrationRefused(code="no_edge_server", reason=reason, retry_s=1.0)

    def on_edge_status(
        self, edge: EdgeId, status: EdgeStatusReported, boot: str, now: float
    ) -> Sequence[Effect]:
        """An edge server is there, has restarted, or leaves."""
        known = self.registry.servers.get(edge)
        lease_until = now + status.lease_s if status.state == "online" else 0.0
        self.registry.servers[edge] = EdgeServer(
            edge,
            status.lat_deg,
            status.lon_deg,
            status.capacity,
            lease_until,
            boot,
            status.verify_key,
        )
        if status.state == "offline":
            return self.replace_orphans(now)
        if known is None or known.boot != boot:  # it starts without its twins
            hosted = [p for p, r in self.registry.plvns.items() if r.edge == edge]
            for plvn in hosted:
                self.registry.confirmed.pop(plvn, None)
                self.registry.sent_matches.pop(plvn, None)
            return [effect for plvn in sorted(hosted) for effect in self.place_again(plvn)]
        return []

    def replace_orphans(self, now: float) -> list[Effect]:
        """Give the twins of edge servers that are gone to others, under a new fence."""
        if self._awaiting:
            return []
        effects: list[Effect] = []
        for plvn, record in sorted(self.registry.plvns.items()):
            if self.registry.is_online(record.edge, now):
                continue
            placed = self.registry.place(plvn, record.site, record.requested_inmfs, now)
            if placed is None or placed == record:
                continue
            self.registry.plvns[plvn] = placed
            self.registry.sent_matches.pop(plvn, None)
            effects += [Save(placed), *self.place_again(plvn), Count("twins_replaced")]
        return effects

    def place_again(self, plvn: PlvnId) -> list[Effect]:
        """Tell the owner about its twin, and again until it confirms."""
        record = self.registry.plvns.get(plvn)
        if record is None or self.registry.confirmed.get(plvn) == record.fence:
            return []
        retry = StartTimer(Placement(plvn), self.settings.placement_retry_s)
        return [self._placement(plvn), retry]

    def _placement(self, plvn: PlvnId) -> Publish:
        record = self.registry.plvns[plvn]
        grant = self.registry.grant(plvn, self.settings.grant_valid_s)
        placed = TwinPlaced(grant=grant, site=record.site, requested_inmfs=record.requested_inmfs)
        return Publish(placed, Address(plvn=plvn, edge=record.edge), fence=record.fence)

    def on_twin_registered(self, edge: EdgeId, plvn: PlvnId, fence: int) -> Sequence[Effect]:
        """An edge server says that it hosts a twin; the PLVN that waits for that is granted."""
        record = self.registry.plvns.get(plvn)
        if record is None or record.edge != edge or record.fence != fence:
            return [Count("stale_fence")]
        if self.registry.confirmed.get(plvn) == fence:
            return []
        self.registry.confirmed[plvn] = record.fence
        cid = self.registry.waiting.pop(plvn, None)
        answer = self._renewed(plvn) if cid is None else self._granted(plvn, cid)
        return [CancelTimer(Placement(plvn)), answer]

    def prolong(self) -> list[Effect]:
        """Prolong every grant."""
        effects: list[Effect] = [StartTimer(Timer.GRANTS, self.settings.grant_valid_s / 4)]
        for plvn in sorted(self.registry.plvns):
            confirmed = self.registry.confirmed.get(plvn) == self.registry.plvns[plvn].fence
            effects += [self._renewed(plvn)] if confirmed else []
            effects.append(self._placement(plvn))
        return effects
