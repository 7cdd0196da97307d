"""Attributes of a PLVN, and its category with hysteresis."""

from collections.abc import Sequence

import numpy as np
import pytest

from tests.edge_twin.managing import INMF, waiting
from tests.edge_twin.played import CLEAR, played, rows_of
from tests.support.names import COOP_PERCEPTION
from twintier.edge_twin.attributes import HYSTERESIS_H, TimeOfDay, category_of, extract
from twintier.inmf.contract import Attributes
from twintier.protocol.columns import pack
from twintier.protocol.messages import AttributesReported, InmfSlots, Site, TelemetryReported

SITE = Site(city="São Paulo", road="Highway", lat_deg=1.0, lon_deg=2.0)


OWN = Attributes(5.5, "objects", 6.5e6, "Hz")


def told(own: Attributes, *, vehicles: Sequence[int] = ()) -> AttributesReported:
    return extract(
        {COOP_PERCEPTION: own},
        SITE,
        TimeOfDay("day"),
        n_samples=20,
        sim_time_s=30.0,
        hour=8.0,
        vehicle_numbers=vehicles,
    )


def test_the_time_of_day_changes_only_well_past_an_edge() -> None:
    day = TimeOfDay().at(21.9)
    assert day.value == "day"
    assert day.at(22.0 + HYSTERESIS_H / 2).value == "day"
    assert day.at(22.0 + HYSTERESIS_H).value == "night"
    assert TimeOfDay("night").at(6.0).value == "night"
    assert TimeOfDay("night").at(6.1).value == "day"


def test_around_midnight_it_is_night() -> None:
    assert [TimeOfDay().at(hour).value for hour in (0.0, 5.99, 22.0, 23.99)] == ["night"] * 4


def test_an_unknown_hour_keeps_what_is_known() -> None:
    assert TimeOfDay("day").at(None) == TimeOfDay("day")
    assert TimeOfDay().at(None) == TimeOfDay()


def test_an_hour_that_jitters_at_an_edge_changes_nothing() -> None:
    state, seen = TimeOfDay("day"), set()
    for hour in np.random.default_rng(0).normal(22.0, HYSTERESIS_H / 4, 500):
        state = state.at(float(hour))
        seen.add(state.value)
    assert seen == {"day"}


def test_a_category_holds_what_is_known_and_is_sorted() -> None:
    assert category_of(SITE, TimeOfDay("day")) == "city=são-paulo|road=highway|tod=day"
    assert category_of(SITE, TimeOfDay()) == "city=são-paulo|road=highway"


def test_attributes_hold_what_is_known_of_the_site_and_of_each_inmf() -> None:
    seen = told(OWN, vehicles=(9, 6))
    assert (seen.n_samples, seen.vehicle_number) == (20, 7.5)
    (own,) = seen.inmfs
    assert own.model_dump() == {
        "inmf": COOP_PERCEPTION,
        "workload": 5.5,
        "workload_unit": "objects",
        "resources": 6.5e6,
        "resources_unit": "Hz",
    }
    assert (seen.hour, seen.city, seen.lat_deg) == (8.0, "São Paulo", 1.0)


@pytest.mark.parametrize("value", [None, -0.5, float("nan"), float("inf")])
def test_what_is_no_amount_is_not_known(value: float | None) -> None:
    (own,) = told(Attributes(value, "objects", value, "Hz")).inmfs
    assert (own.workload, own.resources) == (None, None)


def test_an_inmf_says_its_part_of_the_window() -> None:
    managed = waiting().managed
    assert managed.attributes(20.0) is None
    for number in range(3):
        rows = dict(rows_of(played(CLEAR, 10, number)))
        rows["bandwidth_hz"] = np.full(10, 5e6 + 1e6 * number)
        rows["objects"] = np.full((10, 3), 4.0 + number)
        slots = pack(rows, INMF.measured)
        part = InmfSlots(inmf=COOP_PERCEPTION, schema_id=INMF.schema_id, slots=slots)
        managed.on_telemetry(telemetry(10 * number, part))
    assert managed.attributes(20.0) == (OWN, 20)


def telemetry(slot_first: int, part: InmfSlots) -> TelemetryReported:
    return TelemetryReported(
        slot_first=slot_first,
        hour=8.0,
        vehicle_number=None,
        mean_speed_share=None,
        vehicles=(),
        measured=(part,),
    )
