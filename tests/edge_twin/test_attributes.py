"""Attributes of a PLVN, and its category with hysteresis."""

import numpy as np
import pytest

from tests.edge_twin.managing import uploaded
from tests.edge_twin.played import CLEAR, played
from twintier.edge_twin.attributes import HYSTERESIS_H, TimeOfDay, category_of, extract
from twintier.edge_twin.mirror import Mirror
from twintier.inmf.trajectory import Trace, Trajectories
from twintier.protocol.messages import Site, TelemetryReported

SITE = Site(city="São Paulo", road="Highway", lat_deg=1.0, lon_deg=2.0)


def mirror(*, present: bool = True, vehicles: tuple[int | None, ...] = (4, 9, 6)) -> Mirror:
    made = Mirror.of(1000, 1000)
    for number, vehicle_number in enumerate(vehicles):
        slots = played(CLEAR, 10, number)
        there = np.full_like(slots.trace.present, present)
        trace = Trace(
            np.full_like(slots.trace.bandwidth_hz, 5e6 + 1e6 * number),
            np.full_like(slots.trace.objects, 4.0 + number),
            slots.trace.distance_m,
            there,
        )
        slots = Trajectories(trace, slots.modes_before, slots.modes, slots.reward_j)
        made.add_telemetry(
            TelemetryReported(
                slot_first=10 * number,
                hour=8.0,
                vehicle_number=vehicle_number,
                mean_speed_share=None,
                vehicles=(),
                slots=uploaded(slots),
            )
        )
    return made


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
    told = extract(mirror(), SITE, TimeOfDay("day"), window_slots=20, sim_time_s=30.0)
    assert (told.n_samples, told.vehicle_number) == (20, 7.5)
    assert told.workload_objects == pytest.approx(5.5)
    assert told.bandwidth_hz == pytest.approx(6.5e6)
    assert (told.hour, told.city, told.lat_deg) == (8.0, "São Paulo", 1.0)


def test_what_nothing_was_seen_of_is_null() -> None:
    empty = extract(Mirror.of(9, 9), SITE, TimeOfDay(), window_slots=20, sim_time_s=0.0)
    unseen = (empty.n_samples, empty.hour, empty.vehicle_number, empty.workload_objects)
    assert unseen == (0, None, None, None)
    assert empty.bandwidth_hz is None
    nobody = mirror(present=False, vehicles=(None, None))
    told = extract(nobody, SITE, TimeOfDay(), window_slots=20, sim_time_s=0.0)
    assert (told.workload_objects, told.vehicle_number) == (None, None)
    assert told.bandwidth_hz == pytest.approx(5.5e6)
