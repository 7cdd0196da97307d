"""The twin of one PLVN: what it knows, and the INMFs that it manages."""

from itertools import pairwise

from tests.edge_twin.managing import INMF, SETTINGS, SITE
from tests.edge_twin.played import CLEAR, played, rows_of
from tests.support.names import COOP_PERCEPTION
from twintier.edge_twin.twin import Twin, TwinRecord
from twintier.protocol.columns import pack
from twintier.protocol.ids import EdgeId, InmfId, PlvnId
from twintier.protocol.messages import Grant, InmfSlots, TelemetryReported
from twintier.protocol.values import Fence

GRANT = Grant(plvn=PlvnId("p1"), edge=EdgeId("e1"), fence=Fence(1), valid_s=60.0)
STEERING = InmfId("steering")


def twin(*inmfs: InmfId) -> tuple[Twin, tuple[InmfId, ...]]:
    made = Twin(TwinRecord(GRANT, SITE, inmfs), SETTINGS, 0.0)
    return made, made.manage(inmfs)


def telemetry(slot_first: int, vehicles: int, *, hour: float = 8.0) -> TelemetryReported:
    slots = pack(rows_of(played(CLEAR, 5, 1)), INMF.measured)
    part = InmfSlots(inmf=COOP_PERCEPTION, schema_id=INMF.schema_id, slots=slots)
    return TelemetryReported(
        slot_first=slot_first,
        hour=hour,
        vehicle_number=vehicles,
        mean_speed_share=None,
        vehicles=(),
        measured=(part,),
    )


def test_an_unknown_inmf_costs_itself_only() -> None:
    made, unknown = twin(STEERING, COOP_PERCEPTION)
    assert unknown == (STEERING,)
    assert set(made.managed) == {COOP_PERCEPTION}


def test_an_inmf_that_is_wanted_no_more_is_managed_no_more() -> None:
    made, _ = twin(COOP_PERCEPTION)
    made.manage(())
    assert made.managed == {}


def test_the_newest_telemetry_is_that_of_the_latest_slot() -> None:
    made, _ = twin(COOP_PERCEPTION)
    for slot, vehicles in ((5, 3), (10, 4), (0, 9)):
        made.on_telemetry(telemetry(slot, vehicles), 1.0)
    assert made.latest is not None
    assert made.latest.slot_first == 10
    assert list(made.vehicle_numbers) == [(5, 3), (10, 4), (0, 9)]


def test_attributes_are_due_once_a_period_and_when_the_category_changes() -> None:
    made, _ = twin(COOP_PERCEPTION)
    assert made.on_telemetry(telemetry(0, 3), 1.0) is not None
    assert made.on_telemetry(telemetry(5, 3), 2.0) is None
    changed = made.on_telemetry(telemetry(10, 3, hour=23.0), 3.0)
    assert changed is not None
    assert changed.category.endswith("tod=night")


def test_emulators_are_fitted_anew_after_so_much_telemetry() -> None:
    made, _ = twin(COOP_PERCEPTION)
    managed = made.managed[COOP_PERCEPTION]
    expert, fitted = managed.emulator(), []
    for slot in range(0, 2 * managed.windows.refit, 5):
        made.on_measured(telemetry(slot, 3))
        fitted.append(managed.emulator())
    changes = sum(a is not b for a, b in pairwise([expert, *fitted]))
    assert changes == 2
