"""The bounded copy of what a PLVN uploaded."""

import numpy as np
import pytest

from tests.edge_twin.managing import INMF, trajectories, uploaded
from tests.edge_twin.played import CLEAR, played, rows_of
from tests.support.names import COOP_PERCEPTION
from twintier.edge_twin.mirror import Mirror, SlotLog
from twintier.protocol.columns import ColumnsError, pack
from twintier.protocol.messages import InmfSlots, TelemetryReported
from twintier.protocol.tensors import Tensors


def log(*chunks: tuple[int, int], capacity: int = 100) -> SlotLog:
    """A log of (first slot, slots), each value the number of its slot."""
    made = SlotLog(("value",), capacity)
    for first, slots in chunks:
        made.add(first, {"value": np.arange(first, first + slots, dtype=float)})
    return made


def telemetry(slot_first: int, schema_id: str = INMF.schema_id) -> TelemetryReported:
    slots = pack(rows_of(played(CLEAR, 5, 1)), INMF.measured)
    return TelemetryReported(
        slot_first=slot_first,
        hour=8.0,
        vehicle_number=3,
        mean_speed_share=None,
        vehicles=(),
        measured=(InmfSlots(inmf=COOP_PERCEPTION, schema_id=schema_id, slots=slots),),
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
    mirror = Mirror.of(INMF, 100, 100)
    rows, sent = mirror.add_trajectories(INMF, trajectories(15, 0)), played(CLEAR, 15, 15)
    assert np.array_equal(rows["action"] > 0.5, sent.modes[0])
    assert np.array_equal(rows["modes_before"] > 0.5, sent.modes_before[0])
    assert rows["reward"] == pytest.approx(sent.reward_j[0], rel=1e-6)
    assert np.isnan(rows["log_prob"]).all()
    assert mirror.trajectories.size == 15


def test_what_the_baseline_earned_is_remembered_and_nothing_else() -> None:
    mirror = Mirror.of(INMF, 100, 100)
    assert mirror.rule_reward is None
    mirror.add_trajectories(INMF, trajectories(0, 0, reward_j=2.0))
    mirror.add_trajectories(INMF, trajectories(15, 3, reward_j=9.0))
    assert mirror.rule_reward == pytest.approx(2.0)


def test_telemetry_of_another_inmf_is_none_of_this_mirror() -> None:
    mirror = Mirror.of(INMF, 100, 100)
    mirror.add_telemetry(INMF, 0, telemetry(0))
    others = telemetry(5).model_copy(update={"measured": ()})
    mirror.add_telemetry(INMF, 5, others)
    assert (mirror.telemetry.size, mirror.telemetry_seen) == (5, 5)


def test_slots_of_another_schema_are_refused_and_those_of_a_former_one_are_not() -> None:
    mirror = Mirror.of(INMF, 100, 100)
    mirror.add_telemetry(INMF, 0, telemetry(0, INMF.former_schemas[0]))
    with pytest.raises(ColumnsError, match="run both on the same version"):
        mirror.add_telemetry(INMF, 5, telemetry(5, "coop-perception/9/00"))
    assert mirror.telemetry.size == 5


def test_an_upload_without_rewards_is_refused() -> None:
    bare = {n: a for n, a in uploaded(played(CLEAR, 5, 1)).unpack().items() if n != "reward"}
    message = trajectories(0, 0).model_copy(update={"slots": Tensors.pack(bare)})
    with pytest.raises(ColumnsError, match="'reward'"):
        Mirror.of(INMF, 100, 100).add_trajectories(INMF, message)
