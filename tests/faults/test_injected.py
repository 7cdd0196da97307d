"""The whole platform with faults, in virtual time: the loop goes on, and faults are counted."""

from pathlib import Path

import pytest

from tests.support.platform import Outcome, run_platform
from twintier.broker.faulty import Faults
from twintier.launch.instruments import Instruments, injected
from twintier.plvn_agent.sources.builtin import BuiltinSource

PLVNS = 2


def managed(outcome: Outcome) -> int:
    return sum(own.model is not None for own in outcome.view.models().values())


def play(state: Path, faults: Faults) -> Outcome:
    """Run until every PLVN has an individual model, at most 1,500 slots."""
    source = BuiltinSource(PLVNS, seed=1, start_hour=12.0, constant=True)
    return run_platform(
        state,
        source,
        slots=1500,
        until=lambda view: sum(own.model is not None for own in view.models().values()) == PLVNS,
        instruments=Instruments(faults=faults),
    )


def counters(outcome: Outcome) -> dict[str, int]:
    return {
        f"{src} {counter.name}": counter.count
        for src, health in outcome.view.health.items()
        for counter in health.counters
    }


@pytest.mark.slow
def test_clocks_that_differ_by_an_hour_expire_nothing(tmp_path: Path) -> None:
    outcome = play(tmp_path, Faults(skew_s=3600.0))
    assert managed(outcome) == PLVNS
    assert (outcome.messages.lost, outcome.messages.refused) == (0, 0)
    wrong = ("expired", "grant_expired", "stale_fence", "not_hosted")
    assert [name for name in counters(outcome) if name.endswith(wrong)] == []
    offsets = {peer.offset_s for health in outcome.view.health.values() for peer in health.peers}
    assert max(offsets) - min(offsets) > 600.0  # they do differ


@pytest.mark.slow
def test_the_loop_goes_on_under_loss_doubles_delays_and_cuts_and_all_are_counted(
    tmp_path: Path,
) -> None:
    faults = Faults(
        seed=3, loss=0.02, duplicate=0.05, delay=0.1, partition_every_s=20.0, partition_s=1.0
    )
    outcome = play(tmp_path, faults)
    assert managed(outcome) == PLVNS
    counted = injected(outcome.view.health.values())
    assert sorted(counted) == ["delayed", "duplicated", "lost", "partitions"]
    assert min(counted.values()) > 0
    assert outcome.messages.refused == 0
