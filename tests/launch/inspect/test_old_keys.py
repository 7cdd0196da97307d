"""Recordings of the release before name timers and jobs by texts."""

from collections.abc import Hashable

import pytest

from tests.support.names import COOP_PERCEPTION
from twintier.cloud_twin import keys as cloud
from twintier.edge_twin import keys as edge
from twintier.launch.inspect.old_keys import present_key, with_present_keys
from twintier.plvn_agent import keys as agent
from twintier.protocol.ids import PlvnId
from twintier.runtime.core import Role, Started, TimerFired
from twintier.runtime.effects import CancelTimer, Count, StartTimer
from twintier.runtime.recording import pickles
from twintier.runtime.recording.recorder import Step

P1 = PlvnId("p1")


@pytest.mark.parametrize(
    ("role", "text", "key"),
    [
        ("cloud", "lease", cloud.Timer.LEASE),
        ("cloud", "settle", cloud.Timer.PLANNING_PAUSE),
        ("cloud", "place/p1", cloud.Placement(P1)),
        ("cloud", "round/super-1", cloud.RoundDeadline("super-1")),
        ("cloud", "pause/super-1", cloud.RoundPause("super-1")),
        ("edge", "lease", edge.Timer.LEASE),
        ("edge", "fetch/coop-perception/", edge.FetchRetry(COOP_PERCEPTION, "")),
        ("edge", "dispatch/p1/coop-perception", edge.DispatchRetry(P1, COOP_PERCEPTION)),
        ("edge", "adapt/p1/coop-perception/2", edge.Adapting(P1, COOP_PERCEPTION, 2)),
        ("edge", "test/p1/coop-perception/2", edge.ChangeTesting(P1, COOP_PERCEPTION, 2)),
        ("edge", "meta/coop-perception/b/3/7", edge.MetaRound(COOP_PERCEPTION, "b", 3, 7)),
        ("plvn", "register", agent.Timer.REGISTER),
        ("plvn", "unknown", "unknown"),
        ("cloud", cloud.Timer.SUPER, cloud.Timer.SUPER),
    ],
)
def test_a_key_of_the_release_before_becomes_one_of_this(
    role: Role, text: Hashable, key: Hashable
) -> None:
    assert present_key(role, text) == key


def test_steps_are_read_with_present_keys() -> None:
    key = cloud.Placement(P1)
    old = Step(1.0, TimerFired("place/p1"), (StartTimer("place/p1", 2.0), Count("x")), "")
    others = Step(2.0, Started(), (CancelTimer("place/p1"),), "")
    assert list(with_present_keys("cloud", iter([old, others]))) == [
        Step(1.0, TimerFired(key), (StartTimer(key, 2.0), Count("x")), ""),
        Step(2.0, Started(), (CancelTimer(key),), ""),
    ]


@pytest.mark.parametrize(
    "key", [cloud.Timer.LEASE, cloud.Placement(P1), edge.MetaRound(COOP_PERCEPTION, "b", 3, 7)]
)
def test_a_key_survives_a_recording(key: Hashable) -> None:
    assert pickles.loads(pickles.dumps(TimerFired(key))) == TimerFired(key)
