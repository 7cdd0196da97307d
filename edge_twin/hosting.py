"""Which twins an edge server hosts, under which grants and in which categories. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from twintier.edge_twin.cache import MetaModelCache
from twintier.edge_twin.cache_policies.port import Wanted
from twintier.edge_twin.individual_model import IndividualModel
from twintier.edge_twin.isolation import guarded
from twintier.edge_twin.mirror import KeptTrajectories
from twintier.edge_twin.programs import Programs
from twintier.edge_twin.routes import plvn_route
from twintier.edge_twin.settings import EdgeSettings
from twintier.edge_twin.twin import Twin, TwinRecord
from twintier.protocol.address import Address
from twintier.protocol.columns import ColumnsError
from twintier.protocol.ids import CategoryKey, EdgeId, InmfId, PlvnId
from twintier.protocol.messages import (
    AttributesReported,
    CategoryAssigned,
    TwinPlaced,
    TwinRegistered,
)
from twintier.runtime.effects import Count, Effect, Publish, Save, Subscribe

EdgeRecord = TwinRecord | IndividualModel | KeptTrajectories


@dataclass(slots=True)
class Hosting:
    """The twins of one edge server."""

    edge: EdgeId
    settings: EdgeSettings
    cache: MetaModelCache
    programs: Programs = field(default_factory=Programs)
    twins: dict[PlvnId, Twin] = field(default_factory=dict)

    def restore(self, record: EdgeRecord) -> None:
        """Take up what the store has kept, twins first."""
        match record:
            case TwinRecord():
                # A renewal by the cloud twin says until when; before that nothing is obeyed.
                self.twins[record.grant.plvn] = twin = Twin(record, self.settings, 0.0)
                twin.manage(record.requested_inmfs)
            case IndividualModel():
                twin_of_model = self.twins.get(record.plvn)
                if twin_of_model is not None and record.inmf in twin_of_model.managed:
                    twin_of_model.managed[record.inmf].restore(record)
            case KeptTrajectories():
                self._restore_trajectories(record)

    def routes(self) -> list[Subscribe]:
        """What is listened to because of the twins that are here."""
        return [plvn_route(plvn) for plvn in sorted(self.twins)]

    def on_placed(self, placed: TwinPlaced, now: float) -> tuple[Sequence[Effect], bool]:
        """Host a twin, prolong it, or obey its wishes; also whether it is new here."""
        grant = placed.grant
        twin = self.twins.get(grant.plvn)
        if grant.edge != self.edge:
            return [Count("not_owner")], False
        if twin is not None and grant.fence < twin.record.grant.fence:
            return [Count("stale_fence")], False
        record = TwinRecord(grant, placed.site, placed.requested_inmfs)
        registered = Publish(
            TwinRegistered(grant=grant),
            Address(plvn=grant.plvn, edge=self.edge),
            fence=grant.fence,
        )
        valid_until = now + grant.valid_s
        if twin is not None and grant.fence == twin.record.grant.fence:
            changed = twin.record.requested_inmfs != placed.requested_inmfs
            twin.record, twin.valid_until = record, valid_until
            unknown = twin.manage(placed.requested_inmfs)
            return [*([Save(record)] if changed else []), registered, *_left_out(unknown)], False
        self.twins[grant.plvn] = twin = Twin(record, self.settings, valid_until)
        unknown = twin.manage(record.requested_inmfs)
        effects: list[Effect] = [
            Save(record),
            plvn_route(grant.plvn),
            registered,
            self.attributes(twin, twin.attributes()),
            *_left_out(unknown),
        ]
        return effects, True

    def attributes(self, twin: Twin, attributes: AttributesReported) -> Publish:
        """Attributes on their way to the cloud twin."""
        return Publish(
            attributes,
            Address(plvn=twin.plvn, edge=self.edge),
            fence=twin.record.grant.fence,
            sim_time_s=twin.sim_time_s,
        )

    def on_category(self, plvn: PlvnId, assigned: CategoryAssigned, boot: str) -> Sequence[Effect]:
        """Each INMF gets the meta model of its match; versions count by process of the cloud."""
        twin = self.twins.get(plvn)
        if twin is None:
            return [Count("not_hosted")]
        if boot == twin.category_boot and assigned.category_version < twin.category_version:
            return [Count("stale_category")]
        twin.category_boot = boot
        twin.category = CategoryKey(assigned.category)
        twin.category_version = assigned.category_version
        effects: list[Effect] = []
        for match in assigned.matches:
            managed = twin.managed.get(match.inmf)
            if managed is not None:
                managed.match = match
                effects += self.give_meta_model(twin, match.inmf)
        return effects

    def give_meta_model(self, twin: Twin, inmf: InmfId) -> list[Effect]:
        """Give the twin the matched meta model from the cache, or fetch it."""
        managed = twin.managed[inmf]
        match = managed.match
        if match is None:
            return []
        program = self.programs.of(inmf)
        if program is None:
            return self.programs.make(inmf)
        managed.orders.lend(program)
        cached = self.cache.get(inmf, match.category, match.version)
        if cached is None:
            return self.cache.fetch(inmf, match.category)
        self.cache.used(inmf, match.category)
        category = twin.category or CategoryKey("")
        begun = guarded(managed, lambda: managed.on_meta_model(cached))
        moved = guarded(managed, lambda: managed.on_category(category, twin.sim_time_s))
        managed.trained_category = category
        return [*begun, *moved]

    def on_meta_model(self, inmf: InmfId, category: str) -> list[Effect]:
        """A meta model has come: give it to those that are matched with it."""
        effects: list[Effect] = []
        for twin in self.twins.values():
            managed = twin.managed.get(inmf)
            wanted = managed.match if managed else None
            if wanted is None or wanted.category != category:
                continue
            if self.cache.get(inmf, category, wanted.version) is None:  # the library has no newer
                effects.append(Count("offers_outdated"))
            else:
                effects += self.give_meta_model(twin, inmf)
        return effects

    def on_program(self, inmf: InmfId) -> list[Effect]:
        """The graph of a network is made: what waited for it goes on."""
        effects: list[Effect] = []
        for twin in self.twins.values():
            if inmf in twin.managed:
                effects += self.give_meta_model(twin, inmf)
        return effects

    def matched(self) -> list[Wanted]:
        """What twins here are matched with."""
        return [
            (inmf, str(managed.match.category))
            for twin in self.twins.values()
            for inmf, managed in twin.managed.items()
            if managed.match is not None
        ]

    def _restore_trajectories(self, record: KeptTrajectories) -> None:
        twin = self.twins.get(record.plvn)
        managed = twin.managed.get(record.inmf) if twin else None
        if managed is None:
            return
        try:
            managed.mirror.add_trajectories(managed.inmf, record.message)
        except ColumnsError:  # of a version of the INMF whose fields were others
            return


def _left_out(unknown: Sequence[InmfId]) -> list[Effect]:
    return [Count("inmfs_unknown", len(unknown))] if unknown else []
