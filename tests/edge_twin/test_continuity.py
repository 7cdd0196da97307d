"""One message that jumps costs itself, whatever it says; the latest of the others wins."""

from dataclasses import replace

import pytest

from tests.edge_twin.managing import INMF, SETTINGS, trajectories
from tests.edge_twin.played import CLEAR, played, rows_of
from tests.edge_twin.test_core import P1, UP, received, server
from tests.support.names import COOP_PERCEPTION
from twintier.edge_twin.continuity import LAST_S, Course, Position
from twintier.edge_twin.core import EdgeCore
from twintier.protocol.address import Address
from twintier.protocol.columns import pack
from twintier.protocol.messages import (
    AttributesReported,
    InmfSlots,
    MessageReturned,
    TelemetryReported,
    TrajectoriesReported,
)
from twintier.protocol.messages.base import Message
from twintier.runtime.core import Received
from twintier.runtime.effects import Count, Effect, Publish

AT = Address(plvn=P1)


def telemetry(slot_first: int, hour: float = 8.0, vehicles: int = 5) -> TelemetryReported:
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


def sent(message: Message, seq: int, sim_s: float, *, boot: str = "b1") -> Received:
    to = AT if isinstance(message, TelemetryReported) else UP
    event = received(message, to, fence=1, boot=boot, src="plvn:p1")
    changes = {"seq": seq, "sim_ts_ns": int(sim_s * 1e9)}
    return replace(event, envelope=event.envelope.model_copy(update=changes))


def take(core: EdgeCore, message: Message, seq: int, sim_s: float, **at: str) -> list[Effect]:
    return list(core.receive(sent(message, seq, sim_s, **at), 1.0))


def told(effects: list[Effect]) -> list[str]:
    """The reasons that go back to the sender."""
    messages = [effect.message for effect in effects if isinstance(effect, Publish)]
    return [m.reason for m in messages if isinstance(m, MessageReturned)]


def attributes(effects: list[Effect]) -> list[AttributesReported]:
    messages = [effect.message for effect in effects if isinstance(effect, Publish)]
    return [m for m in messages if isinstance(m, AttributesReported)]


@pytest.mark.parametrize(("slot", "sim_s"), [(10, 7300.0), (10, 9e9), (2**52, 20.0), (9000, 20.0)])
def test_telemetry_that_jumps_is_refused_and_the_next_is_taken(slot: int, sim_s: float) -> None:
    core = server(P1)
    take(core, telemetry(0), 1, 10.0)
    effects = take(core, telemetry(slot, vehicles=999), 2, sim_s)
    (reason,) = told(effects)
    limit = LAST_S if max(slot, sim_s) > LAST_S else SETTINGS.longest_jump_s
    assert f"{limit:.0f} s" in reason
    assert Count("refused.invalid_body") in effects
    (report,) = attributes(take(core, telemetry(20), 3, 30.0))
    assert (report.sim_time_s, report.vehicle_number) == (30.0, 5.0)


def test_a_jump_that_the_next_message_confirms_is_none() -> None:
    core = server(P1)
    take(core, telemetry(0), 1, 10.0)
    take(core, telemetry(9000), 2, 9010.0)
    (report,) = attributes(take(core, telemetry(9005), 3, 9015.0))
    assert report.sim_time_s == 9015.0


def test_a_first_message_that_was_wrong_costs_two_more_at_most() -> None:
    core = server(P1)
    take(core, telemetry(500_000_000), 1, 5e8)
    take(core, telemetry(5), 2, 15.0)
    (report,) = attributes(take(core, telemetry(10), 3, 20.0))
    assert report.sim_time_s == 20.0


def test_stale_telemetry_enters_neither_the_mean_nor_the_category() -> None:
    core = server(P1)
    take(core, telemetry(2000, hour=23.0), 10, 2000.0)
    assert take(core, telemetry(600, hour=21.0, vehicles=90), 3, 600.0) == [
        Count("telemetry_stale")
    ]
    (report,) = attributes(take(core, telemetry(2015, hour=23.1), 11, 2015.0))
    assert (report.vehicle_number, report.n_samples) == (5.0, 10)
    assert report.category.endswith("tod=night")


def test_an_older_sequence_is_stale_wherever_its_slots_are() -> None:
    core = server(P1)
    take(core, telemetry(2000), 10, 2000.0)
    assert take(core, telemetry(2010), 9, 2010.0) == [Count("telemetry_stale")]


def test_another_life_whose_slots_begin_at_zero_begins_an_epoch() -> None:
    core = server(P1)
    take(core, telemetry(7800), 900, 7800.0, boot="b1")
    take(core, trajectories(7800, 0), 1, 7800.0, boot="b1")
    (report,) = attributes(take(core, telemetry(0), 1, 10.0, boot="b2"))
    assert (report.sim_time_s, report.n_samples) == (10.0, 5)
    take(core, trajectories(0, 0), 2, 10.0, boot="b2")
    managed = core.hosting.twins[P1].managed[COOP_PERCEPTION]
    assert [first for first, _ in managed.mirror.trajectories.chunks] == [0]


def test_what_an_earlier_life_sent_late_begins_nothing_anew() -> None:
    course = Course(3600.0)
    course.take(Position("b1", 5, 7800.0, 7800.0))
    assert course.take(Position("b2", 1, 0.0, 0.0)).kind == "epoch"
    assert course.take(Position("b1", 6, 7805.0, 7805.0)).kind == "stale"


@pytest.mark.parametrize(
    ("changes", "limit"),
    [({"model_version": 2**53}, "1000"), ({"slot_first": 2**52}, "1000000000 s")],
)
def test_trajectories_that_jump_cost_themselves(changes: dict[str, int], limit: str) -> None:
    core = server(P1)
    take(core, trajectories(0, 0), 1, 15.0)
    wrong: TrajectoriesReported = trajectories(15, 0).model_copy(update=changes)
    effects = take(core, wrong, 2, 30.0)
    assert limit in told(effects)[0]
    managed = core.hosting.twins[P1].managed[COOP_PERCEPTION]
    assert (managed.orders.version, managed.mirror.trajectories.size) == (0, 15)
    take(core, trajectories(30, 0), 3, 45.0)
    assert managed.mirror.trajectories.size == 30
