"""The life of an individual model: exchanges, probation, watch, retraining, roll-back."""

from dataclasses import replace

import numpy as np
import pytest

from tests.edge_twin.managing import (
    BLOCK,
    META,
    P1,
    SETTINGS,
    WINDOWS,
    ZEROS,
    Loop,
    dispatched,
    exchange,
    in_force,
    jobs,
    of,
    on_probation,
    posterior,
    result,
    states,
    trajectories,
    waiting,
)
from tests.support.names import COOP_PERCEPTION
from twintier.edge_twin.cache import CachedModel
from twintier.edge_twin.cusum import Alarm
from twintier.edge_twin.individual_model import IndividualModelDeleted
from twintier.edge_twin.jobs import AdaptationJob
from twintier.edge_twin.keys import Adapting, ChangeTesting, DispatchRetry
from twintier.edge_twin.life_cycle import (
    Exchanging,
    InForce,
    Probation,
    Training,
    Waiting,
)
from twintier.edge_twin.life_cycle import Testing as UnderTest
from twintier.protocol.messages import BaselineOrdered, ModelDispatched, RetrainTriggered
from twintier.runtime.effects import CancelTimer, Count, Save, StartJob, StartTimer

TIMER = DispatchRetry(P1, COOP_PERCEPTION)


def alarmed(loop: Loop) -> list[object]:
    """Rewards that no calibration explains, until the watch alarms."""
    keys: list[object] = []
    while not isinstance(loop.managed.state, UnderTest):
        keys += jobs(loop.upload(reward_j=30.0))
    return keys


class TestFirstModel:
    def test_it_begins_with_enough_true_slots_and_a_meta_model(self) -> None:
        loop = waiting()
        assert loop.upload() == []
        assert jobs(loop.upload()) == [Adapting(P1, COOP_PERCEPTION, 1)]
        assert loop.managed.state == Training(1, 0, 0)

    def test_without_a_meta_model_it_waits_for_one(self) -> None:
        loop = waiting()
        loop.managed.meta_model = None
        assert loop.upload(5) == []
        assert len(jobs(loop.managed.on_meta_model(META))) == 1

    def test_there_are_at_least_two_exchanges_before_the_final_dispatch(self) -> None:
        loop = waiting()
        loop.upload(2)
        purposes = []
        for value in (1.0, 2.0, 3.0):
            purposes += [
                (m.version, m.purpose)
                for m in dispatched(loop.done(result(value)))
                if isinstance(m, ModelDispatched)
            ]
            loop.upload(2)
        assert purposes == [(1, "exchange"), (2, "exchange"), (3, "final")]

    def test_slots_of_an_older_model_do_not_end_an_exchange(self) -> None:
        loop = waiting()
        loop.upload(2)
        loop.done(result(1.0))
        old = trajectories(loop.slot, 0)
        assert loop.managed.on_trajectories(old, 1.0) == []
        assert loop.managed.state == Exchanging(0, 0, 1, slots=0)

    def test_the_final_model_is_saved_before_it_is_dispatched_and_reported(self) -> None:
        loop = waiting()
        loop.upload(2)
        effects = exchange(loop)
        model = loop.managed.model
        assert model is not None
        assert effects[0] == Save(model)
        assert effects[2] == StartTimer(TIMER, SETTINGS.retry_s)
        assert states(effects) == [(3, "probation")]
        assert (model.report.exchanges, model.report.adaptation_steps) == (2, 12)
        assert (model.report.true_slots, model.report.synthetic_slots) == (15, 18)
        assert model.report.origin_category == META.category

    def test_more_exchanges_are_made_while_the_baseline_is_not_beaten(self) -> None:
        loop = waiting()
        loop.upload(2)
        for value in (1.0, 2.0, 3.0):
            (message,) = dispatched(loop.done(result(value, reward_after=0.95)))
            assert isinstance(message, ModelDispatched)
            assert message.purpose == "exchange"
            loop.upload(2)
        (message,) = dispatched(loop.done(result(4.0, reward_after=0.95)))
        assert isinstance(message, ModelDispatched)
        assert message.purpose == "final"

    def test_a_model_far_below_the_baseline_is_given_up_and_waits_grow_to_a_limit(self) -> None:
        loop = waiting()
        for exchanges in (4, 8, 16, 32, 64, 64, 64):
            while not isinstance(loop.managed.state, Training):
                loop.upload()
            for _ in range(SETTINGS.max_exchanges):
                loop.done(result(1.0, reward_after=0.1))
                loop.upload(2)
            effects = loop.done(result(1.0, reward_after=0.1))
            assert [type(m) for m in dispatched(effects)] == [BaselineOrdered]
            assert effects[-1] == Count("adaptations_given_up")
            state = loop.state()
            assert isinstance(state, Waiting)
            assert state.slots_needed == exchanges * WINDOWS.exchange
        assert loop.saved == set()

    def test_a_model_within_the_inmf_s_floor_of_a_poor_baseline_is_not_given_up(self) -> None:
        loop = waiting()
        loop.upload(2)
        poor = result(1.0, reward_after=0.0, baseline=0.1)
        for _ in range(SETTINGS.max_exchanges):
            loop.done(poor)
            loop.upload(2)
        (message,) = dispatched(loop.done(poor))
        assert isinstance(message, ModelDispatched)
        assert message.purpose == "final"

    def test_the_newest_eight_conditions_are_guesses_for_the_next(self) -> None:
        loop = waiting()
        for value in range(20):
            met = replace(posterior(), best=np.full(posterior().best.shape, float(value)))
            loop.managed.trainer.remember(met)
        (job,) = (e.job for e in loop.upload(2) if isinstance(e, StartJob))
        assert isinstance(job, AdaptationJob)
        assert job.known is not None
        assert job.known[:, 0].tolist() == [*range(12, 20)]

    def test_a_result_of_another_attempt_does_nothing(self) -> None:
        loop = waiting()
        loop.upload(2)
        assert loop.managed.on_result(7, result(1.0), 0.0) == [Count("adaptations_outdated")]
        assert loop.managed.state == Training(1, 0, 0)

    def test_a_failed_job_is_tried_again_with_the_next_slots_only(self) -> None:
        loop = waiting()
        loop.upload(2)
        assert loop.managed.on_failure(9) == []
        assert loop.managed.on_failure(1) == [Count("adaptations_failed")]
        assert jobs(loop.upload()) == [Adapting(P1, COOP_PERCEPTION, 2)]


class TestDispatch:
    def test_a_dispatch_is_sent_again_until_it_is_applied(self) -> None:
        loop = waiting()
        loop.upload(2)
        (first, timer) = loop.done(result(1.0))
        assert timer == StartTimer(TIMER, SETTINGS.retry_s)
        assert loop.managed.orders.again() == [first, timer, Count("dispatches_resent")]
        assert loop.managed.orders.applied(1) == [CancelTimer(TIMER)]
        assert loop.managed.orders.again() == []

    def test_an_older_version_applied_changes_nothing(self) -> None:
        loop = on_probation()
        assert loop.managed.orders.applied(1) == [Count("applied_outdated")]
        assert not loop.managed.orders.acknowledged

    def test_a_plvn_that_lost_its_model_gets_it_again(self) -> None:
        loop = on_probation()
        loop.managed.orders.applied(3)
        again = loop.managed.orders.again(asked=True)
        assert [m.version for m in dispatched(again)] == [3]

    def test_a_refused_final_model_is_deleted_and_another_made(self) -> None:
        loop = on_probation()
        effects = loop.keep(loop.managed.on_refused(3, "no engine"))
        assert states(effects) == [(3, "rolled_back")]
        assert loop.saved == set()
        assert loop.managed.model is None
        assert isinstance(loop.managed.state, Waiting)
        assert loop.managed.on_refused(2, "no engine") == []

    def test_a_plvn_that_asks_after_its_refusal_gets_the_baseline_and_the_reason(self) -> None:
        loop = on_probation()
        loop.managed.on_refused(3, "no engine")
        (order,) = dispatched(loop.managed.orders.again(asked=True))
        assert isinstance(order, BaselineOrdered)
        assert order.reason == "version 3 was refused: no engine"

    def test_a_plvn_that_refuses_a_candidate_goes_on_with_its_model(self) -> None:
        loop = in_force()
        model = loop.managed.model
        assert model is not None
        loop.managed.orders.dispatch(model.parameters + 1, "exchange")
        (order,) = dispatched(loop.managed.on_refused(4, "no engine"))
        assert isinstance(order, ModelDispatched)
        assert (order.model, order.version) == (model.model, 5)
        (last,) = dispatched(loop.managed.on_refused(5, "no engine"))
        assert isinstance(last, BaselineOrdered)

    def test_a_category_that_changes_during_a_test_is_taken_after_it(self) -> None:
        loop = in_force()
        managed = loop.managed
        assert isinstance(managed.state, InForce)
        managed.state = UnderTest(managed.trainer.attempt, Alarm(1.0, 1.0, 0, 0.0, 0), InForce())
        managed.trained_category = "city=berlin"
        managed.meta_model = replace(META, category="city=oslo")
        assert managed.on_category("city=oslo", 5.0) == []
        loop.tested(changed=False)
        (triggered,) = of(loop.upload(), RetrainTriggered)
        assert isinstance(triggered, RetrainTriggered)
        assert triggered.cause.trigger == "category_change"

    def test_probation_stays_probation_over_a_restart_and_rolls_back_to_the_good_one(self) -> None:
        good = in_force().managed.model
        assert good is not None
        report = good.report.model_copy(update={"state": "probation", "version": 9})
        newer = replace(good, version=9, parameters=good.parameters + 1, report=report)
        loop = waiting()
        loop.managed.restore(good)
        loop.managed.restore(newer)
        assert isinstance(loop.managed.state, Probation)
        loop.managed.trainer.posterior = posterior()
        loop.managed.state = Probation(1, -999.0, 0.0, 15)
        (order,) = dispatched(loop.upload())
        assert isinstance(order, ModelDispatched)
        assert (order.purpose, order.model) == ("rollback", good.model)

    def test_versions_dispatched_before_a_restart_are_superseded(self) -> None:
        old = in_force()
        model = old.managed.model
        assert model is not None
        loop = waiting()
        loop.managed.restore(model)
        message = trajectories(0, 9)
        effects = loop.managed.on_trajectories(message, 1.0)
        assert [m.version for m in dispatched(effects)] == [10]
        assert Count("versions_overtaken") in effects


class TestProbation:
    def test_a_good_model_is_in_force_after_probation(self) -> None:
        loop = on_probation()
        assert loop.upload() == []
        assert states(loop.upload()) == [(3, "in_force")]
        assert loop.managed.state == InForce()

    def test_a_first_model_that_falls_short_gives_way_to_the_baseline(self) -> None:
        loop = on_probation()
        loop.managed.state = Probation(1, -999.0, 0.0, BLOCK)
        effects = loop.upload()
        assert states(effects) == [(3, "rolled_back")]
        assert [type(m) for m in dispatched(effects)] == [BaselineOrdered]
        assert loop.saved == set()

    def test_a_new_model_in_force_deletes_the_old_one(self) -> None:
        loop = retrained()
        assert loop.saved == {3, 6}
        loop.managed.state = Probation(1, 999.0, 0.0, BLOCK)
        assert states(loop.upload()) == [(6, "in_force"), (3, "deleted")]
        assert loop.saved == {6}

    def test_a_new_model_that_falls_short_is_rolled_back_to_the_last_good_one(self) -> None:
        loop = retrained()
        loop.managed.state = Probation(1, -999.0, 0.0, BLOCK)
        effects = loop.upload()
        assert states(effects) == [(6, "rolled_back")]
        (message,) = dispatched(effects)
        assert isinstance(message, ModelDispatched)
        assert (message.purpose, message.version) == ("rollback", 7)
        assert message.parameters.floats("parameters")[0] == 3.0
        assert loop.saved == {3}

    def test_an_unchanged_condition_leaves_probation_running(self) -> None:
        loop = on_probation()
        alarm = Alarm(9.0, 8.0, 3, 30.0, 0)
        loop.managed.state = UnderTest(
            loop.managed.trainer.attempt, alarm, Probation(1, 5.0, 1.0, BLOCK)
        )
        loop.tested(changed=False)
        assert loop.state() == Probation(1, 5.0, 1.0, BLOCK)


class TestWatch:
    def test_an_alarm_is_tested_before_anything_is_retrained(self) -> None:
        loop = in_force()
        assert alarmed(loop) == [ChangeTesting(P1, COOP_PERCEPTION, loop.managed.trainer.attempt)]

    def test_what_is_no_change_mends_the_calibration(self) -> None:
        loop = in_force()
        alarmed(loop)
        assert loop.tested(changed=False) == [Count("watch.recalibrated")]
        assert loop.managed.state == InForce()
        mended = loop.managed.trainer.posterior
        assert mended is not None
        assert mended.residual_sd == posterior(1.0).residual_sd

    def test_a_change_retrains_from_the_slots_after_it(self) -> None:
        loop = in_force()
        alarmed(loop)
        state = loop.managed.state
        assert isinstance(state, UnderTest)
        effects = loop.tested(changed=True)
        (triggered,) = of(effects, RetrainTriggered)
        assert isinstance(triggered, RetrainTriggered)
        model = loop.managed.model
        assert model is not None
        assert triggered.from_model == model.model
        assert triggered.cause.trigger == "degradation"
        assert triggered.cause.value == state.alarm.value > state.alarm.threshold
        while not isinstance(loop.managed.state, Training):
            loop.upload()
        assert loop.managed.state.since_slot == state.alarm.change_slot

    def test_a_test_of_another_attempt_does_nothing(self) -> None:
        loop = in_force()
        loop.managed.trainer.attempt += 1
        assert loop.tested(changed=True) == [Count("tests_outdated")]
        assert loop.managed.state == InForce()

    def test_a_failed_test_goes_on_watching(self) -> None:
        loop = in_force()
        alarmed(loop)
        assert loop.managed.on_failure(loop.managed.trainer.attempt) == [Count("tests_failed")]
        assert loop.managed.state == InForce()

    def test_after_a_restart_the_first_slots_calibrate_the_watch(self) -> None:
        model = in_force().managed.model
        assert model is not None
        loop = waiting()
        loop.managed.restore(model)
        assert jobs(loop.upload()) == []
        assert jobs(loop.upload()) == [ChangeTesting(P1, COOP_PERCEPTION, 1)]
        loop.tested(changed=False)
        assert loop.managed.trainer.posterior is not None
        assert loop.managed.state == InForce()

    def test_no_plvn_keeps_more_than_two_individual_models(self) -> None:
        loop = retrained()
        for _ in range(3):  # a change in every probation
            alarm = Alarm(9.0, 8.0, 3, 30.0, loop.slot)
            loop.managed.state = UnderTest(loop.managed.trainer.attempt, alarm, Probation())
            loop.tested(changed=True)
            assert len(loop.saved) == 1
            loop.upload(2)
            exchange(loop)
            assert len(loop.saved) == 2


class TestCategory:
    def moved(self, loop: Loop, origin: str) -> list[str]:
        loop.managed.trained_category = "city=berlin"
        loop.managed.meta_model = CachedModel(origin, 1, ZEROS, ZEROS)
        effects = loop.managed.on_category("city=oslo", 5.0)
        return [
            m.cause.trigger
            for m in of(effects, RetrainTriggered)
            if isinstance(m, RetrainTriggered)
        ]

    def test_another_meta_model_retrains(self) -> None:
        assert self.moved(in_force(), "city=oslo") == ["category_change"]

    def test_the_same_meta_model_does_not(self) -> None:
        assert self.moved(in_force(), META.category) == []

    def test_before_the_first_model_nothing_is_retrained(self) -> None:
        assert self.moved(waiting(), "city=oslo") == []


def retrained() -> Loop:
    """A second model is on probation after a change."""
    loop = in_force()
    alarmed(loop)
    loop.tested(changed=True)
    while not isinstance(loop.managed.state, Training):
        loop.upload()
    exchange(loop)
    model = loop.managed.model
    assert model is not None
    assert model.report.replaced
    return loop


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_reports_and_store_agree_at_every_point(blocks: int) -> None:
    loop = retrained()
    loop.managed.state = Probation()
    loop.upload(blocks)
    kept = {m.version for m in (loop.managed.model, loop.managed.last_good) if m is not None}
    assert loop.saved == kept


def test_a_deleted_model_is_named_by_its_own_version() -> None:
    loop = retrained()
    loop.managed.state = replace(Probation(), blocks=1, reward=999.0, slots=BLOCK)
    deleted = [e.record for e in loop.upload() if isinstance(e, Save)]
    assert deleted[-1] == IndividualModelDeleted(P1, COOP_PERCEPTION, 3)
