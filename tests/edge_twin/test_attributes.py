"""Attributes of a PLVN, and its category with hysteresis."""

from collections.abc import Sequence

import numpy as np
import pytest

from tests.edge_twin.managing import INMF
from tests.edge_twin.played import CLEAR, played, rows_of
from tests.support.names import COOP_PERCEPTION
from twintier.edge_twin.attributes import HYSTERESIS_H, TimeOfDay, category_of, extract
from twintier.edge_twin.mirror import Mirror
from twintier.protocol.columns import pack
from twintier.protocol.messages import AttributesReported, InmfSlots, Site, TelemetryReported

SITE = Site(city="São Paulo", road="Highway", lat_deg=1.0, lon_deg=2.0)


def mirror(*, present: bool = True, chunks: int = 3) -> Mirror:
    made = Mirror.of(INMF, 1000, 1000)
    for number in range(chunks):
        rows = dict(rows_of(played(CLEAR, 10, number)))
        rows["bandwidth_hz"] = np.full(10, 5e6 + 1e6 * number)
        rows["objects"] = np.full((10, 3), 4.0 + number)
        rows["present"] = np.full((10, 3), float(present))
        slots = InmfSlots(
            inmf=COOP_PERCEPTION, schema_id=INMF.schema_id, slots=pack(rows, INMF.measured)
        )
        telemetry = TelemetryReported(
            slot_first=10 * number,
            hour=8.0,
            vehicle_number=None,
            mean_speed_share=None,
            vehicles=(),
            measured=(slots,),
        )
        made.add_telemetry(INMF, 10 * number, telemetry)
    return made


def told(
    mirrored: Mirror, *, window_s: float, hour: float | None = None, vehicles: Sequence[int] = ()
) -> AttributesReported:
    managed = {COOP_PERCEPTION: (INMF, mirrored)}
    return extract(
        managed,
        SITE,
        TimeOfDay("day"),
        window_s=window_s,
        sim_time_s=30.0,
        hour=hour,
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


def test_attributes_are_those_of_the_window() -> None:
    seen = told(mirror(), window_s=20, hour=8.0, vehicles=(9, 6))
    assert (seen.n_samples, seen.vehicle_number) == (20, 7.5)
    (own,) = seen.inmfs
    assert (own.inmf, own.workload_unit, own.resources_unit) == (COOP_PERCEPTION, "objects", "Hz")
    assert own.workload == pytest.approx(5.5)
    assert own.resources == pytest.approx(6.5e6)
    assert (seen.hour, seen.city, seen.lat_deg) == (8.0, "São Paulo", 1.0)


def test_what_nothing_was_seen_of_is_null() -> None:
    empty = told(Mirror.of(INMF, 9, 9), window_s=20)
    assert (empty.n_samples, empty.hour, empty.vehicle_number) == (0, None, None)
    assert empty.inmfs == ()
    (own,) = told(mirror(present=False, chunks=2), window_s=20).inmfs
    assert own.workload is None
    assert own.resources == pytest.approx(5.5e6)
