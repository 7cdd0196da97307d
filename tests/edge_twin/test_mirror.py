"""The bounded copy of what a PLVN uploaded."""

import numpy as np
import pytest

from tests.edge_twin.managing import trajectories, uploaded
from tests.edge_twin.played import CLEAR, played
from twintier.edge_twin.mirror import (
    TRACE_FIELDS,
    TRAJECTORY_FIELDS,
    IncompleteSlotsError,
    Mirror,
    SlotLog,
    columns,
    trajectories_of,
)
from twintier.protocol.messages import TelemetryReported
from twintier.protocol.tensors import Tensors


def log(*chunks: tuple[int, int], capacity: int = 100) -> SlotLog:
    """A log of (first slot, slots), each value the number of its slot."""
    made = SlotLog(("value",), capacity)
    for first, slots in chunks:
        made.add(first, {"value": np.arange(first, first + slots, dtype=float)})
    return made


def telemetry(slot_first: int, vehicles: int | None) -> TelemetryReported:
    return TelemetryReported(
        slot_first=slot_first,
        hour=8.0,
        vehicle_number=vehicles,
        mean_speed_share=None,
        vehicles=(),
        slots=uploaded(played(CLEAR, 5, 1)),
    )


def test_the_newest_rows_come_in_order_of_arrival() -> None:
    assert log((0, 3), (3, 2)).newest(4)["value"].tolist() == [1.0, 2.0, 3.0, 4.0]


def test_an_empty_log_has_no_rows() -> None:
    assert log().newest(5) == {}
    assert (log().newest_slot, log().next_slot) == (0, 0)
    assert (log((5, 3)).newest_slot, log((5, 3)).next_slot) == (5, 8)


def test_the_oldest_chunks_go_beyond_capacity() -> None:
    bounded = log(*[(10 * n, 10) for n in range(20)], capacity=45)
    assert (bounded.size, bounded.chunks[0][0]) == (50, 150)


def test_before_and_since_share_the_slots_between_them() -> None:
    whole = log((0, 5), (5, 5), (10, 5))
    assert whole.since(5).newest(99)["value"].tolist() == list(range(5, 15))
    assert whole.before(5).newest(99)["value"].tolist() == list(range(5))
    assert whole.before(0).newest(99) == {}


def test_the_sides_of_a_change_are_halves_where_one_has_no_rows() -> None:
    whole = log((10, 4), (14, 4))
    values = [[rows["value"].tolist() for rows in whole.sides(slot, 3)] for slot in (14, 10)]
    assert values == [[[11, 12, 13], [15, 16, 17]], [[12, 13, 14], [15, 16, 17]]]
    assert [rows["value"].size for rows in whole.sides(99, 9)] == [4, 4]


def test_trajectories_come_back_as_they_were_played() -> None:
    mirror = Mirror.of(100, 100)
    rows = mirror.add_trajectories(trajectories(15, 0))
    done, sent = trajectories_of(rows), played(CLEAR, 15, 15)
    assert np.array_equal(done.modes, sent.modes)
    assert np.array_equal(done.modes_before, sent.modes_before)
    assert done.reward_j == pytest.approx(sent.reward_j, rel=1e-6)
    assert mirror.trajectories.size == 15


def test_the_newest_telemetry_is_that_of_the_latest_slot() -> None:
    mirror = Mirror.of(100, 100)
    for slot, vehicles in ((5, 3), (10, 4), (0, 9)):
        mirror.add_telemetry(telemetry(slot, vehicles))
    assert mirror.latest is not None
    assert mirror.latest.slot_first == 10
    assert list(mirror.vehicle_numbers) == [(5, 3), (10, 4), (0, 9)]


def test_an_upload_without_rewards_is_refused() -> None:
    bare = Tensors.pack(
        {name: np.ones((2, 3) if name != "bandwidth_hz" else 2) for name in TRACE_FIELDS}
    )
    assert set(columns(bare, TRACE_FIELDS)) == set(TRACE_FIELDS)
    with pytest.raises(IncompleteSlotsError, match="'reward_j'"):
        columns(bare, TRAJECTORY_FIELDS)


def test_arrays_of_other_lengths_are_refused() -> None:
    arrays = {name: np.ones((2, 3)) for name in TRACE_FIELDS}
    with pytest.raises(IncompleteSlotsError, match=r"bandwidth_hz \(2, 3\) must be \(2,\)"):
        columns(Tensors.pack(arrays), TRACE_FIELDS)
    flat = {name: np.ones(2) for name in TRACE_FIELDS}
    with pytest.raises(IncompleteSlotsError, match=r"must be \(slots, pairs\)"):
        columns(Tensors.pack(flat), TRACE_FIELDS)


@pytest.mark.parametrize("pairs", [1, 4])
def test_another_number_of_pairs_is_refused(pairs: int) -> None:
    arrays = {n: np.ones(2 if n == "bandwidth_hz" else (2, pairs)) for n in TRACE_FIELDS}
    with pytest.raises(IncompleteSlotsError, match="3 pairs"):
        columns(Tensors.pack(arrays), TRACE_FIELDS)


def test_an_upload_without_slots_is_refused() -> None:
    arrays = {n: np.ones(0 if n == "bandwidth_hz" else (0, 3)) for n in TRACE_FIELDS}
    with pytest.raises(IncompleteSlotsError, match="no slot"):
        columns(Tensors.pack(arrays), TRACE_FIELDS)
