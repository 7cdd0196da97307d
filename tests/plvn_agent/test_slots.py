"""What an agent does with the slots of its INMFs: decides, remembers, uploads."""

from dataclasses import replace

import numpy as np
import pytest

from tests.plvn_agent.agents import (
    BOTH,
    OTHER,
    TOY,
    acted,
    actions,
    agent,
    baseline,
    granted,
    managed,
    measured,
    messages,
    model,
    outcome,
    received,
    row_of_slot,
    run,
    traffic,
)
from tests.support.toy_inmf import SPEC, ToyInmf, ToyRule, toy
from twintier.inmf.contract import Columns, Row, Rule
from twintier.inmf.episodes import Actions
from twintier.inmf.schema import trajectory_fields
from twintier.inmf.spec import Observation, Windows
from twintier.plvn_agent.settings import AgentSettings
from twintier.plvn_agent.slots import History, InmfFailed, InmfSlot, SlotMeasured
from twintier.protocol.columns import unpack
from twintier.protocol.messages import (
    ModelApplied,
    OutcomeSum,
    PerformanceReported,
    TelemetryReported,
    TrajectoriesReported,
)
from twintier.runtime.core import Observed
from twintier.runtime.effects import Actuate, Count, Effect

ERROR = Count("inmf_errors")


def batches(effects: list[Effect]) -> list[TrajectoriesReported]:
    return [m for m in messages(effects) if isinstance(m, TrajectoriesReported)]


def reports(effects: list[Effect]) -> list[TelemetryReported]:
    return [m for m in messages(effects) if isinstance(m, TelemetryReported)]


class TestUploads:
    def test_a_batch_holds_state_action_and_reward_of_consecutive_slots(self) -> None:
        (batch,) = batches(run(managed(), range(5, 8), reward=2.5))
        assert (batch.policy, batch.model_version, batch.batch) == ("baseline", 0, 0)
        assert (batch.slot_first, batch.schema_id) == (5, toy().schema_id)
        columns = unpack(batch.slots, trajectory_fields(toy()))
        assert columns["load"].tolist() == [[2.0, 9.0]] * 3
        assert columns["before"].tolist() == [[0.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
        assert columns["action"].tolist() == [[0.0, 1.0]] * 3
        assert columns["reward"].tolist() == [2.5] * 3
        assert np.isnan(columns["free_hz"]).all()

    def test_batches_count_up_and_change_with_the_order(self) -> None:
        core = managed()
        effects = run(core, range(4))
        effects += core.receive(received(model(7, batch=2)), 4.0)
        effects += run(core, range(4, 6))
        assert [(b.batch, b.slot_first, b.policy, b.model_version) for b in batches(effects)] == [
            (0, 0, "baseline", 0),
            (1, 3, "baseline", 0),
            (2, 4, "individual_model", 7),
        ]

    def test_a_missing_slot_ends_a_batch(self) -> None:
        core = managed()
        effects = [*run(core, range(2)), *run(core, range(3, 6))]
        assert [(b.slot_first, b.slots.floats("reward").size) for b in batches(effects)] == [
            (0, 2),
            (3, 3),
        ]

    def test_a_summary_sums_scalar_outcomes(self) -> None:
        core = managed()
        effects = run(core, range(4), reward=1.5)
        (report,) = [m for m in messages(effects) if isinstance(m, PerformanceReported)]
        assert (report.slot_first, report.slots, report.reward_sum) == (0, 4, 6.0)
        assert report.outcomes == (
            OutcomeSum(name="late", total=0.0),
            OutcomeSum(name="delay_s", total=0.0),
        )

    def test_an_outcome_of_another_slot_is_no_ones(self) -> None:
        core = managed()
        core.receive(measured(3), 3.0)
        late = core.receive(acted(2, toy=outcome((0.0, 1.0))), 3.0)
        assert late == [Count("measurements_unmatched")]

    def test_inmfs_share_nothing(self) -> None:
        core = managed(inmfs=BOTH.values())
        core.receive(received(model(3)), 0.0)
        effects: list[Effect] = []
        for slot in range(3):
            decided = core.receive(measured(slot, toy=row_of_slot(), other=row_of_slot()), 0.0)
            assert actions(decided) == {TOY: (1.0, 1.0), OTHER: (0.0, 1.0)}
            rows = {name: outcome(action) for name, action in actions(decided).items()}
            effects += core.receive(acted(slot, **rows), 0.0)
        assert [(b.policy, b.model_version, b.batch) for b in batches(effects)] == [
            ("individual_model", 3, 0),
            ("baseline", 0, 0),
        ]


class TestTelemetry:
    def test_inmfs_with_the_same_slots_share_a_message(self) -> None:
        core = managed(inmfs=BOTH.values())
        rows = {"toy": row_of_slot(), "other": row_of_slot(3.0)}
        effects = [e for slot in (4, 5) for e in core.receive(measured(slot, **rows), 0.0)]
        (report,) = reports(effects)
        assert (report.slot_first, report.vehicle_number, report.mean_speed_share) == (4, 7, 0.5)
        assert [(each.inmf, each.schema_id) for each in report.measured] == [
            (TOY, BOTH[TOY].schema_id),
            (OTHER, BOTH[OTHER].schema_id),
        ]
        assert report.measured[1].slots.floats("load").tolist() == [[3.0, 9.0]] * 2

    def test_inmfs_with_longer_slots_report_apart_and_count_their_own(self) -> None:
        core = managed(inmfs=[toy(), toy("other", slot_s=3.0)])
        effects: list[Effect] = []
        for slot in range(6):
            rows = {TOY: InmfSlot(slot, row_of_slot())}
            if slot % 3 == 0:
                rows[OTHER] = InmfSlot(slot // 3, row_of_slot())
            effects += core.receive(Observed(SlotMeasured(traffic(slot), rows)), 0.0)
        assert [(r.slot_first, [m.inmf for m in r.measured]) for r in reports(effects)] == [
            (0, [TOY]),
            (2, [TOY]),
            (0, [OTHER]),
            (4, [TOY]),
        ]

    def test_a_window_has_no_gap(self) -> None:
        core = managed()
        slots = (0, 2, 3)
        effects = [e for slot in slots for e in core.receive(measured(slot), 0.0)]
        found = [(r.slot_first, r.measured[0].slots.shapes[0].shape) for r in reports(effects)]
        assert found == [(0, (1, 2)), (2, (2, 2))]

    def test_history_goes_up_with_the_grant(self) -> None:
        core = agent(AgentSettings(history_slots=4))
        past = tuple(
            SlotMeasured(traffic(slot), {TOY: InmfSlot(slot, row_of_slot())}) for slot in range(6)
        )
        assert core.receive(Observed(History(past)), 0.0) == []
        assert [r.slot_first for r in reports([*core.receive(granted(), 0.0)])] == [0, 4]
        assert messages(core.receive(granted(fence=2), 1.0)) == []


class _Broken:
    def act(self, observation: object) -> Actions:
        raise ValueError(f"no idea of {observation}")


class _BrokenRule(ToyRule):
    def decide(self, row: Row) -> tuple["ToyRule", Actions]:
        raise ValueError(f"no idea of {row}")


class _BrokenToy(ToyInmf):
    def rule(self) -> Rule:
        return _BrokenRule()


class _Forgetful(ToyInmf):
    def remember(self, row: Row, outcome: Row) -> Row:
        raise ValueError(f"no idea of {row} and {outcome}")


class _Silent(ToyRule):
    def decide(self, row: Row) -> tuple["ToyRule", Actions]:
        return self, None  # type: ignore[return-value]  # that is what is wrong


class _Wide(ToyRule):
    def decide(self, row: Row) -> tuple["ToyRule", Actions]:
        return self, np.ones(3, np.bool_)


class _Toy(ToyInmf):
    """The toy with a rule of its own, or with one that cannot begin so many times."""

    def __init__(self, rule: Rule | None = None, fails: int = 0) -> None:
        super().__init__()
        self._given, self._fails = rule, fails

    def rule(self) -> Rule:
        if self._fails:
            self._fails -= 1
            raise ValueError("not yet")
        return self._given or ToyRule()


class _Blind(ToyInmf):
    def observe(self, rows: Columns) -> Observation:
        return np.full((len(rows["load"]), 4), np.nan, np.float32)


class TestErrors:
    @pytest.mark.parametrize("rule", [_Silent(), _Wide()])
    def test_a_rule_that_gives_no_action_costs_its_inmf_only(self, rule: Rule) -> None:
        core = managed(inmfs=[_Toy(rule), toy("other")])
        effects = core.receive(measured(0, toy=row_of_slot(), other=row_of_slot()), 0.0)
        assert effects == [ERROR, Actuate(OTHER, (0.0, 1.0))]

    def test_an_inmf_that_cannot_begin_is_tried_again_with_the_next_slot(self) -> None:
        core = managed(inmfs=[_Toy(fails=2), toy("other")])
        rows = {"toy": row_of_slot(), "other": row_of_slot()}
        first = core.receive(measured(0, **rows), 0.0)
        assert first == [Count("inmf_errors", 2), Actuate(OTHER, (0.0, 1.0))]
        assert actions(core.receive(measured(1, **rows), 1.0)).keys() == {TOY, OTHER}

    @pytest.mark.parametrize("sampled", [False, True])
    def test_a_model_that_sees_no_numbers_gives_way_to_the_baseline(self, *, sampled: bool) -> None:
        core = managed(inmfs=[_Blind()])
        core.receive(received(model(3, batch=2, sampled=sampled)), 0.0)
        effects = run(core, range(2))
        assert effects[:2] == [Actuate(TOY, (0.0, 1.0)), ERROR]
        assert [b.policy for b in batches(effects)] == ["baseline"]

    @pytest.mark.parametrize("row", [None, [1, 2], {"load": "x"}, {"load": [[1], [2, 3]]}])
    def test_what_is_no_row_of_numbers_costs_its_inmf_the_slot(self, row: Row) -> None:
        core = managed(inmfs=BOTH.values())
        effects = core.receive(measured(0, toy=row, other=row_of_slot()), 0.0)
        assert effects == [ERROR, Actuate(OTHER, (0.0, 1.0))]
        core.receive(measured(1, toy=row_of_slot(), other=row_of_slot()), 1.0)
        assert core.receive(acted(1, toy=row), 1.0) == [ERROR]

    def test_where_a_model_fails_the_baseline_acts(self) -> None:
        core = managed()
        core.receive(received(model(3, batch=2)), 0.0)
        obeyed = core.controllers[TOY].policy.model
        assert obeyed is not None
        core.controllers[TOY].policy.model = replace(obeyed, actor=_Broken())  # type: ignore[arg-type]
        effects = run(core, range(2))
        assert effects[:2] == [Actuate(TOY, (0.0, 1.0)), ERROR]
        assert [(b.policy, b.model_version) for b in batches(effects)] == [("baseline", 3)]

    def test_an_inmf_without_a_working_rule_costs_itself_only(self) -> None:
        core = managed(inmfs=[_BrokenToy(), toy("other")])
        rows = {"toy": row_of_slot(), "other": row_of_slot()}
        effects = core.receive(measured(0, **rows), 0.0)
        assert effects == [ERROR, Actuate(OTHER, (0.0, 1.0))]
        effects = core.receive(acted(0, toy=outcome((0.0, 0.0)), other=outcome((0.0, 1.0))), 0.0)
        assert effects == [Count("measurements_unmatched")]

    @pytest.mark.parametrize("load", [np.array([11.0, 0.0]), np.zeros(3), np.full(2, np.nan)])
    def test_fields_beyond_what_the_inmf_says_cost_it_the_slot(self, load: np.ndarray) -> None:
        core = managed(inmfs=BOTH.values())
        effects = core.receive(measured(0, toy={"load": load}, other=row_of_slot()), 0.0)
        assert effects == [ERROR, Actuate(OTHER, (0.0, 1.0))]

    def test_an_outcome_that_cannot_be_is_not_uploaded(self) -> None:
        core = managed()
        core.receive(measured(0), 0.0)
        assert core.receive(acted(0, toy=outcome((0.0, 1.0), np.inf)), 0.0) == [ERROR]

    def test_memory_that_cannot_be_kept_begins_anew(self) -> None:
        core = managed(inmfs=[_Forgetful()])
        effects = run(core, range(3))
        assert effects.count(ERROR) == 3
        (batch,) = batches(effects)
        assert batch.slots.floats("before").tolist() == [[0.0, 0.0]] * 3

    def test_what_fails_outside_is_counted(self) -> None:
        core = managed()
        assert core.receive(Observed(InmfFailed(TOY, "why")), 0.0) == [ERROR]


class TestSampling:
    def test_samples_and_their_probabilities_go_up(self) -> None:
        core = managed()
        core.receive(received(model(3, sampled=True)), 0.0)
        (batch,) = batches(run(core, range(3)))
        columns = unpack(batch.slots, trajectory_fields(toy(), sampled=True))
        assert columns["sample"].shape == (3, 2)
        assert ((columns["sample"] >= 0) == (columns["action"] > 0.5)).all()
        deviation = np.exp(-1.0)
        density = np.exp(-0.5 * (columns["sample"] / deviation) ** 2)
        expected = np.log(density / deviation / np.sqrt(2.0 * np.pi)).sum(axis=1)
        assert np.allclose(columns["log_prob"], expected, atol=1e-5)

    def test_samples_follow_from_the_order(self) -> None:
        def sampled(version: int) -> list[float]:
            core = managed()
            core.receive(received(model(version, sampled=True)), 0.0)
            (batch,) = batches(run(core, range(3)))
            return [float(x) for x in batch.slots.floats("sample").ravel()]

        assert sampled(3) == sampled(3)
        assert sampled(3) != sampled(4)

    def test_a_greedy_model_uploads_no_samples(self) -> None:
        core = managed()
        core.receive(received(model(3)), 0.0)
        (batch,) = batches(run(core, range(3)))
        assert "sample" not in [shape.name for shape in batch.slots.shapes]


class TestGuard:
    def test_a_model_that_explores_too_badly_gives_way_to_the_baseline(self) -> None:
        core = managed()
        effects = run(core, range(4), reward=2.0)
        effects += core.receive(received(model(3, sampled=True)), 4.0)
        effects += run(core, range(4, 7), reward=1.6)
        assert Count("guard_trips") in effects
        effects += run(core, range(7, 10), reward=2.0)
        assert [(b.policy, b.model_version, b.slot_first) for b in batches(effects)] == [
            ("baseline", 0, 0),
            ("baseline", 0, 3),
            ("individual_model", 3, 4),
            ("baseline", 3, 7),
        ]
        core.receive(received(model(4, sampled=True)), 10.0)
        assert core.controllers[TOY].policy.acts == "individual_model"

    @pytest.mark.parametrize(
        ("floor", "reward"), [(0.15, 1.75), (0.5, 1.6)], ids=["within 15 %", "within the floor"]
    )
    def test_a_small_loss_is_no_reason(self, floor: float, reward: float) -> None:
        core = managed(inmfs=[toy(reward_floor=floor)])
        run(core, range(4), reward=2.0)
        core.receive(received(model(3, toy(reward_floor=floor), sampled=True)), 4.0)
        assert Count("guard_trips") not in run(core, range(4, 20), reward=reward)

    def test_a_greedy_model_is_the_twins_to_watch(self) -> None:
        core = managed()
        run(core, range(4), reward=2.0)
        core.receive(received(model(3)), 4.0)
        assert Count("guard_trips") not in run(core, range(4, 20), reward=-9.0)

    def test_without_a_slot_of_the_baseline_there_is_nothing_to_hold_it_to(self) -> None:
        core = managed()
        core.receive(received(model(3, sampled=True)), 0.0)
        assert Count("guard_trips") not in run(core, range(20), reward=-9.0)


def test_the_answer_to_an_order_names_the_first_slot_of_its_model() -> None:
    core = managed()
    run(core, range(5))
    applied = messages(core.receive(received(baseline(2)), 5.0))[-1]
    assert applied == ModelApplied(inmf=TOY, version=2, model="0" * 64, slot_first=5)


def test_the_spec_of_an_inmf_says_how_many_slots_go_into_a_message() -> None:
    windows = Windows(batch=5, performance=6, telemetry=4)
    core = managed(inmfs=[ToyInmf(replace(SPEC, windows=windows))])
    effects = run(core, range(12))
    assert [b.slot_first for b in batches(effects)] == [0, 5]
    assert [r.slot_first for r in reports(effects)] == [0, 4, 8]
