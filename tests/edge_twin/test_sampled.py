"""The paper's pure loop in a twin: what explores, what stops it, and how often."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from tests.edge_twin.managing import P1, SITE, dispatched, jobs, of
from twintier.edge_twin.adaptation import ManagedInmf
from twintier.edge_twin.cache import CachedModel
from twintier.edge_twin.jobs import AdaptationResult, Start, policy_of
from twintier.edge_twin.keys import Adapting
from twintier.edge_twin.life_cycle import Exchanging, Probation, State, Training, Waiting
from twintier.edge_twin.logged import LoggedJob
from twintier.edge_twin.mirror import trajectory_fields
from twintier.edge_twin.settings import EdgeSettings
from twintier.inmf import registry
from twintier.inmf.registry import inmf_of
from twintier.protocol.columns import pack
from twintier.protocol.ids import InmfId
from twintier.protocol.messages import (
    IndividualModelReported,
    ModelDispatched,
    TrajectoriesReported,
)
from twintier.protocol.values import Fence
from twintier.runtime.effects import Effect, StartJob

BARE = InmfId("sampled")
EPISODE = 4
"""Slots of an episode of the toy."""
SETTINGS = EdgeSettings(exchanges=1, max_sampled_exchanges=2, probation_blocks=2)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint(BARE, "tests.support.toy_inmf:sampled", registry.GROUP)
    monkeypatch.setattr(registry, "installed", lambda: {BARE: point})


def uploaded(slot_first: int, slots: int, version: int, *, by_rule: bool) -> TrajectoriesReported:
    inmf = inmf_of(BARE)
    columns = {each.name: np.ones((slots, *each.shape)) for each in trajectory_fields(inmf)}
    if by_rule:
        columns["sample"], columns["log_prob"] = np.full((slots, 2), np.nan), np.full(slots, np.nan)
    return TrajectoriesReported(
        policy="baseline" if by_rule else "individual_model",
        model_version=version,
        batch=slot_first,
        slot_first=slot_first,
        schema_id=inmf.schema_id,
        slots=pack(columns, trajectory_fields(inmf)),
    )


class Explored:
    """One managed INMF without an emulator, and slots of its PLVN."""

    def __init__(self) -> None:
        self.managed = ManagedInmf.begin(P1, BARE, SITE, Fence(1), SETTINGS)
        zeros = np.zeros(policy_of(BARE).parameters, np.float32)
        self.managed.on_meta_model(CachedModel("", 1, zeros, zeros))
        self.slot = 0

    def upload(self, slots: int, *, by_rule: bool = False) -> list[Effect]:
        message = uploaded(self.slot, slots, self.managed.orders.version, by_rule=by_rule)
        self.slot += slots
        return self.managed.on_trajectories(message, float(self.slot))

    def done(self, earned: float, *, rule: float = 1.0) -> list[Effect]:
        value = np.full(policy_of(BARE).parameters, earned, np.float32)
        result = AdaptationResult(
            parameters=value,
            origin=Start("meta_model", value, None),
            emulator=None,
            posterior=None,
            evidence="measured",
            reward_before=earned,
            reward_after=earned,
            baseline_reward=rule,
            bound_reward=None,
            updates=1,
            true_slots=EPISODE,
            synthetic_slots=0,
        )
        return self.managed.on_result(self.managed.trainer.attempt, result, float(self.slot))


def exploring() -> Explored:
    """The baseline has acted for one exchange, and the meta model samples actions."""
    loop = Explored()
    loop.upload(loop.managed.windows.exchange, by_rule=True)
    return loop


def test_the_baseline_acts_first_so_that_there_is_something_to_hold_a_model_to() -> None:
    loop = Explored()
    exchange = loop.managed.windows.exchange
    assert loop.managed.state == Waiting(0, exchange)
    (order,) = dispatched(loop.upload(exchange, by_rule=True))
    assert isinstance(order, ModelDispatched)
    assert (order.sampled, order.purpose) == (True, "exchange")
    after: State = loop.managed.state
    assert [after] == [Exchanging(0, exchange, 1)]


def test_what_the_guard_stops_is_learned_from_once_it_fills_an_episode() -> None:
    loop = exploring()
    since = loop.slot
    loop.upload(EPISODE)
    effects = loop.upload(EPISODE, by_rule=True)
    assert jobs(effects) == [Adapting(P1, BARE, 1)]
    assert loop.managed.state == Training(1, 1, since)
    (started,) = (e for e in effects if isinstance(e, StartJob))
    assert isinstance(started.job, LoggedJob)
    assert started.job.true["reward"].size == EPISODE, "slots of the baseline are left out"


def test_what_the_guard_stops_earlier_is_sampled_on() -> None:
    loop = exploring()
    since = loop.slot
    loop.upload(EPISODE - 1)
    (order,) = dispatched(loop.upload(EPISODE, by_rule=True))
    assert isinstance(order, ModelDispatched)
    assert order.sampled
    assert loop.managed.state == Exchanging(0, since, 2, EPISODE - 1)


def test_exchanges_go_on_while_the_baseline_earns_more_and_then_it_acts() -> None:
    loop = exploring()
    loop.upload(loop.managed.windows.exchange)
    assert [order.version for order in dispatched(loop.done(0.1))] == [2]
    loop.upload(loop.managed.windows.exchange)
    loop.done(0.1)
    assert isinstance(loop.managed.state, Waiting)
    assert loop.managed.given_up == 1


def test_a_model_that_has_earned_more_is_dispatched_to_act_greedily() -> None:
    loop = exploring()
    loop.upload(loop.managed.windows.exchange)
    effects = loop.done(1.5)
    (order,) = dispatched(effects)
    assert isinstance(order, ModelDispatched)
    assert (order.sampled, order.purpose) == (False, "final")
    (report,) = of(effects, IndividualModelReported)
    assert isinstance(report, IndividualModelReported)
    assert (report.evidence, report.exchanges, report.synthetic_slots) == ("measured", 1, 0)
    assert loop.managed.state == Probation()
