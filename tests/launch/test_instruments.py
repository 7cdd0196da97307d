"""Recordings and faults around the parts of a process."""

from pathlib import Path

import pytest

from tests.support.toy import ToyCore
from twintier.broker.clock import WallClock
from twintier.broker.errors import LocalBusError
from twintier.broker.faulty import Faults
from twintier.launch.instruments import Instruments, injected, make_instruments
from twintier.protocol.messages import Counter, HealthReported


def health(**counts: int) -> HealthReported:
    return HealthReported(
        role="edge",
        uptime_s=1.0,
        published=0,
        delivered=0,
        redelivered=0,
        refused=0,
        dropped=0,
        inbox=0,
        sim_time_s=0.0,
        speed=0.0,
        counters=tuple(
            Counter(name=name.replace("__", "."), count=n) for name, n in counts.items()
        ),
        peers=(),
    )


def test_faults_of_all_processes_add_up_by_kind() -> None:
    reports = [
        health(injected__lost=3, expired=7),
        health(injected__lost=2, injected__delayed=1),
        health(),
    ]
    assert injected(reports) == {"delayed": 1, "lost": 5}
    assert injected([health(expired=7)]) == {}


def test_nothing_is_put_around_what_was_not_asked_for() -> None:
    core, clock = ToyCore("edge", "e1"), WallClock()
    plain = make_instruments(None, "")
    assert plain == Instruments()
    assert plain.core(core, "b1") is core
    assert plain.clock(clock, "e1") is clock


def test_faults_are_read_from_words_and_wrong_ones_are_said() -> None:
    faults = Faults(seed=3, loss=0.02, skew_s=5.0)
    text = "loss=0.02,skew_s=5,seed=3"
    assert make_instruments(Path("x"), text) == Instruments(Path("x"), faults)
    with pytest.raises(LocalBusError, match="fault 'los' is none of"):
        make_instruments(None, "los=0.02")
