"""Fig. 5(b) for one PLVN and INMF: adapt in exchanges, dispatch, watch, retrain. No I/O.

    Waiting --true slots and a meta model--> Training --> Exchanging --> Training --> ...
        --> Probation --> InForce --alarm--> Testing --changed--> Training (retraining)
                                                 `----unchanged--> InForce, calibration mended

Whatever acts in the PLVN keeps acting until the next dispatch. A job's result and trajectories that
belong to an earlier attempt carry its number and do nothing.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from twintier.edge_twin.cusum import Alarm, Block, ResidualWatch
from twintier.edge_twin.individual_model import IndividualModel, IndividualModelDeleted
from twintier.edge_twin.jobs import (
    AdaptationJob,
    AdaptationResult,
    ChangeResult,
    ChangeTest,
    Start,
    baseline_reward_j,
)
from twintier.edge_twin.life_cycle import (
    CachedModel,
    Exchanging,
    InForce,
    Making,
    Probation,
    State,
    Testing,
    Training,
    Tries,
    Waiting,
    category_change,
    degradation,
    dispatch_of,
)
from twintier.edge_twin.mirror import Array, Mirror, trajectories_of
from twintier.edge_twin.settings import EdgeSettings
from twintier.inmf.perception.calibration import Calibration
from twintier.inmf.perception.condition import Condition
from twintier.inmf.perception.emulator import EmulatorParameters
from twintier.learning.policy import Vector
from twintier.protocol.address import Address
from twintier.protocol.ids import InmfId, ModelId, PlvnId
from twintier.protocol.messages import (
    BaselineOrdered,
    Cause,
    IndividualModelReported,
    MetaModelMatch,
    ModelDispatched,
    RetrainTriggered,
    TrajectoriesReported,
)
from twintier.protocol.messages.model import Purpose
from twintier.protocol.values import Fence
from twintier.runtime.effects import CancelTimer, Count, Effect, Publish, Save, StartJob, StartTimer


@dataclass(slots=True)
class ManagedInmf:
    """One INMF of one PLVN: its individual model and how it comes to be replaced."""

    plvn: PlvnId
    inmf: InmfId
    settings: EdgeSettings
    mirror: Mirror
    state: State
    fence: Fence
    match: MetaModelMatch | None = None
    meta_model: CachedModel | None = None
    model: IndividualModel | None = None
    """The final model that acts or is on probation."""
    last_good: IndividualModel | None = None
    """Kept only during probation."""
    calibration: Calibration | None = None
    watch: ResidualWatch = field(default_factory=ResidualWatch)
    trained_category: str = ""
    """The PLVN's category when its model was made."""
    version: int = 0
    attempt: int = 0
    given_up: int = 0
    """Adaptations in a row that came to nothing; each doubles the wait for the next."""
    tries: Tries = field(default_factory=Tries)
    memory: list[Condition] = field(default_factory=list)
    """Conditions met before; good guesses for the next calibration."""
    dispatched: ModelDispatched | BaselineOrdered | None = None
    """The newest dispatch, for one that asks again."""
    acknowledged: bool = True

    def restore(self, model: IndividualModel) -> None:
        """Go on with a model that was in force before a restart; the watch begins anew."""
        self.model, self.version = model, model.version
        self.state = InForce()
        self.dispatched = self._message(model.parameters, "final")

    def on_meta_model(self, model: CachedModel, emulator: EmulatorParameters) -> list[Effect]:
        """A meta model of the match is there."""
        self.meta_model = model
        return self._begin_if_ready(emulator)

    def on_trajectories(
        self,
        message: TrajectoriesReported,
        rows: dict[str, Array],
        emulator: EmulatorParameters,
        sim_time_s: float,
    ) -> list[Effect]:
        """True slots have come in; the mirror has them already."""
        slots = int(rows["reward_j"].size)
        if message.model_version > self.version:
            return self._overtake(message.model_version)
        match self.state:
            case Waiting():
                return self._begin_if_ready(emulator)
            case Exchanging() as state if message.model_version == state.version:
                self.state = replace(state, slots=state.slots + slots)
                if self.state.slots < self.settings.exchange_slots:
                    return []
                return self._train(state.exchange + 1, state.since_slot, emulator)
            case Probation() if message.model_version == self.version:
                return [
                    *self._watch(rows, message.slot_first, sim_time_s),
                    *self._on_probation(rows),
                ]
            case InForce() if message.model_version == self.version:
                return self._watch(rows, message.slot_first, sim_time_s)
            case _:  # slots of an older model, or a job is running: the mirror keeps them
                return []

    def on_result(self, attempt: int, result: AdaptationResult, now_sim_s: float) -> list[Effect]:
        """The model of an exchange is made."""
        state = self.state
        if not isinstance(state, Training) or state.attempt != attempt:
            return [Count("adaptations_outdated")]
        self.calibration = result.calibration
        self.tries.add(result)
        halted = [Count("adaptations_halted")] if result.halted else []
        return [*halted, *self._go_on(state, result, now_sim_s)]

    def _go_on(self, state: Training, result: AdaptationResult, now_sim_s: float) -> list[Effect]:
        if not self._is_enough(state.exchange, result):
            return self._exchange(state, result)
        if result.reward_after < result.baseline_reward - self._margin(result.baseline_reward):
            return self._give_up(result)
        return self._finish(state, result, now_sim_s)

    def on_change_tested(
        self, attempt: int, result: ChangeResult, emulator: EmulatorParameters
    ) -> list[Effect]:
        """The change test has spoken."""
        state = self.state
        if not isinstance(state, Testing) or state.attempt != attempt:
            return [Count("tests_outdated")]
        if not result.changed:
            self.calibration = result.joint
            self.watch, self.state = ResidualWatch(), state.then
            return [Count("watch.recalibrated")]
        return self._retrain(degradation(state.alarm), state.alarm.change_slot, emulator)

    def on_failure(self, attempt: int) -> list[Effect]:
        """A job has failed: try again with the next slots, for the same would fail again."""
        match self.state:
            case Training(attempt=running) as state if running == attempt:
                there = self.mirror.trajectories.since(state.since_slot).size
                self.state = Waiting(state.since_slot, there + 1)
                return [Count("adaptations_failed")]
            case Testing(attempt=running) as state if running == attempt:
                self.state = state.then
                return [Count("tests_failed")]
            case _:
                return []

    def on_category(
        self, category: str, emulator: EmulatorParameters, sim_time_s: float
    ) -> list[Effect]:
        """The PLVN has moved to another category, and `meta_model` fits that one."""
        moved = self.model is not None and category != self.trained_category
        origin = "" if self.model is None else self.model.report.origin_category
        same_origin = self.meta_model is not None and self.meta_model.category == origin
        if not moved or same_origin or not isinstance(self.state, InForce | Probation):
            return []
        cause = category_change(self.trained_category, category, sim_time_s)
        return self._retrain(cause, self.mirror.trajectories.newest_slot, emulator)

    def on_applied(self, version: int) -> list[Effect]:
        """The PLVN acts by a version."""
        if version != self.version:
            return [Count("applied_outdated")]
        self.acknowledged = True
        return [CancelTimer(self._timer)]

    def on_refused(self, version: int) -> list[Effect]:
        """The PLVN cannot use what was dispatched: make another from fresh slots."""
        if version != self.version:
            return []
        self.acknowledged = True
        effects: list[Effect] = [CancelTimer(self._timer), Count("models_refused")]
        if isinstance(self.state, Probation):
            effects += self._forget(self.model, "rolled_back")
            self.model, self.last_good = self.last_good, None
        self.state = Waiting(self.mirror.trajectories.newest_slot, self.settings.exchange_slots)
        return effects

    def dispatch_again(self, *, asked: bool = False) -> list[Effect]:
        """Send the newest dispatch again: asked for, or unanswered."""
        if self.dispatched is None or (self.acknowledged and not asked):
            return []
        self.acknowledged = False
        count = [] if asked else [Count("dispatches_resent")]
        return [self._publish(self.dispatched), self._retry(), *count]

    def _overtake(self, version: int) -> list[Effect]:
        """The PLVN acts by what was dispatched before a restart: supersede it."""
        self.version = version
        count = Count("versions_overtaken")
        if self.model is None or not isinstance(self.state, InForce):
            return [count]
        return [count, *self._dispatch(self.model.parameters, "final")]

    def _begin_if_ready(self, emulator: EmulatorParameters) -> list[Effect]:
        state = self.state
        if not isinstance(state, Waiting) or self.meta_model is None:
            return []
        if self.mirror.trajectories.since(state.since_slot).size < state.slots_needed:
            return []
        return self._train(0, state.since_slot, emulator)

    def _train(self, exchange: int, since_slot: int, emulator: EmulatorParameters) -> list[Effect]:
        assert self.meta_model is not None
        self.attempt += 1
        self.state = Training(self.attempt, exchange, since_slot)
        starts = [Start("meta_model", self.meta_model.parameters, self.meta_model.log_step_sizes)]
        present = self._present()
        if present is not None:
            starts.append(Start("present_model", present, None))
        rows = self.mirror.trajectories.since(since_slot).newest(self.settings.calibration_slots)
        job = AdaptationJob(
            starts=tuple(starts),
            origin=self.tries.origin,
            emulator=emulator,
            trajectories=trajectories_of(rows),
            known_conditions=tuple(self._known()),
            settings=self.settings.adaptation,
            evaluation_episodes=self.settings.evaluation_episodes,
            seed=self._seed(),
        )
        return [StartJob(f"adapt/{self.plvn}/{self.inmf}/{self.attempt}", job)]

    def _present(self) -> Vector | None:
        if isinstance(self.dispatched, ModelDispatched):
            return self.dispatched.parameters.floats("parameters")
        return None

    def _known(self) -> list[Condition]:
        present = [] if self.calibration is None else [self.calibration.condition]
        return [*self.memory, *present]

    def _seed(self) -> int:
        name = f"{self.plvn}/{self.inmf}".encode()
        return int(np.random.default_rng([self.settings.seed, self.attempt, *name]).integers(2**31))

    def _is_enough(self, exchange: int, result: AdaptationResult) -> bool:
        if exchange < self.settings.exchanges:
            return False
        beaten = result.reward_after >= result.baseline_reward
        return beaten or exchange >= self.settings.max_exchanges

    def _margin(self, baseline_j: float) -> float:
        """How far below the baseline a model may be, J a slot."""
        return max(self.settings.guard_margin * abs(baseline_j), self.settings.guard_floor_j)

    def _exchange(self, state: Training, result: AdaptationResult) -> list[Effect]:
        dispatch = self._dispatch(result.parameters, "exchange")
        self.state = Exchanging(state.attempt, state.exchange, state.since_slot, self.version)
        return dispatch

    def _finish(self, state: Training, result: AdaptationResult, sim_time_s: float) -> list[Effect]:
        """Dispatch the final model; the one before stays until probation is passed."""
        assert self.meta_model is not None
        effects = self._dispatch(result.parameters, "final")
        assert isinstance(self.dispatched, ModelDispatched)
        making = Making(
            self.inmf,
            self.version,
            ModelId(self.dispatched.model),
            self.meta_model,
            state.exchange,
            self.tries,
            "" if self.model is None else self.model.model,
            sim_time_s,
        )
        report = making.report(result)
        self.last_good = self.model
        self.model = IndividualModel(
            self.plvn,
            self.inmf,
            self.version,
            ModelId(self.dispatched.model),
            result.parameters,
            result.origin.parameters,
            result.emulator,
            report,
        )
        self.memory = [*self.memory, result.calibration.condition][-8:]
        self.tries, self.watch, self.state = Tries(), ResidualWatch(), Probation()
        self.given_up = 0
        return [Save(self.model), *effects, self._report(report)]

    def _give_up(self, result: AdaptationResult) -> list[Effect]:
        """No model comes near the baseline in this condition: the baseline acts, for a while."""
        self.version += 1
        self.tries = Tries()
        reason = (
            f"adapted model earns {result.reward_after:.3f} J a slot in the emulator, "
            f"the classical baseline {result.baseline_reward:.3f}"
        )
        order = BaselineOrdered(inmf=self.inmf, version=self.version, reason=reason)
        self.given_up += 1
        wait = self.settings.exchange_slots * 2 ** min(self.given_up + 1, 6)
        self.state = Waiting(self.mirror.trajectories.next_slot, wait)
        gone = self._forget(self.model)
        self.model = None
        return [*gone, *self._send(order), Count("adaptations_given_up")]

    def _watch(self, rows: dict[str, Array], slot_first: int, sim_time_s: float) -> list[Effect]:
        if self.calibration is None:  # after a restart
            return self._calibrate(sim_time_s)
        block = Block.of(trajectories_of(rows), self.calibration, slot_first, sim_time_s)
        self.watch, alarm = self.watch.update(block)
        if alarm is None:
            return []
        return [*self._test(alarm), Count("alarms")]

    def _calibrate(self, sim_time_s: float) -> list[Effect]:
        """Test the first slots after a restart: their joint fit is the new calibration."""
        log = self.mirror.trajectories
        if log.size < self.settings.exchange_slots:
            return []
        middle = log.chunks[len(log.chunks) // 2][0]
        return self._test(Alarm(0.0, self.settings.change_threshold, 0, sim_time_s, middle))

    def _test(self, alarm: Alarm) -> list[Effect]:
        assert isinstance(self.state, Probation | InForce)
        side = self.settings.calibration_slots // 2
        before, after = self.mirror.trajectories.sides(alarm.change_slot, side)
        self.attempt += 1
        self.state = Testing(self.attempt, alarm, self.state)
        test = ChangeTest(
            trajectories_of(before),
            trajectories_of(after),
            tuple(self._known()),
            self.settings.change_threshold,
            self._seed(),
        )
        return [StartJob(f"test/{self.plvn}/{self.inmf}/{self.attempt}", test)]

    def _on_probation(self, rows: dict[str, Array]) -> list[Effect]:
        """Hold the model's reward against the baseline's on the same states."""
        if not isinstance(self.state, Probation) or self.calibration is None:
            return []
        done = trajectories_of(rows)
        baseline_j = baseline_reward_j(done.trace, self.calibration.condition)
        self.state = state = self.state.add(rows["reward_j"], baseline_j)
        if state.blocks < self.settings.probation_blocks:
            return []
        baseline_j = state.baseline_j / state.slots
        if state.reward_j / state.slots < baseline_j - self._margin(baseline_j):
            return self._roll_back()
        return self._take_in_force()

    def _take_in_force(self) -> list[Effect]:
        assert self.model is not None
        self.state = InForce()
        self.model = replace(
            self.model, report=self.model.report.model_copy(update={"state": "in_force"})
        )
        effects: list[Effect] = [Save(self.model), self._report(self.model.report)]
        old, self.last_good = self.last_good, None
        return [*effects, *self._forget(old)]

    def _forget(
        self,
        model: IndividualModel | None,
        state: Literal["deleted", "rolled_back"] = "deleted",
    ) -> list[Effect]:
        """Delete a model and say so; nothing where there is none."""
        if model is None:
            return []
        report = model.report.model_copy(update={"state": state})
        deleted = IndividualModelDeleted(model.plvn, model.inmf, model.version)
        return [Save(deleted), self._report(report)]

    def _roll_back(self) -> list[Effect]:
        """The new model falls short of the baseline: the last good one acts, or the baseline."""
        assert self.model is not None
        effects = [*self._forget(self.model, "rolled_back"), Count("models_rolled_back")]
        self.model, self.last_good = self.last_good, None
        if self.model is None:
            self.version += 1
            reason = "the model on probation earned less than the classical baseline"
            order = BaselineOrdered(inmf=self.inmf, version=self.version, reason=reason)
            effects += self._send(order)
        else:
            effects += self._dispatch(self.model.parameters, "rollback")
        self.state = Waiting(self.mirror.trajectories.next_slot, self.settings.exchange_slots)
        return effects

    def _retrain(self, cause: Cause, since_slot: int, emulator: EmulatorParameters) -> list[Effect]:
        self.tries = Tries(cause=cause)
        self.watch = ResidualWatch()
        self.state = Waiting(since_slot, self.settings.retrain_slots)
        from_model = "" if self.model is None else self.model.model
        old, self.last_good = self.last_good, None  # the one on probation outlives it
        triggered = RetrainTriggered(
            inmf=self.inmf, cause=cause, from_model=from_model[:64] or "baseline"
        )
        return [
            *self._forget(old),
            Publish(triggered, Address(plvn=self.plvn), fence=self.fence),
            *self._begin_if_ready(emulator),
        ]

    def _dispatch(self, parameters: Vector, purpose: Purpose) -> list[Effect]:
        self.version += 1
        return self._send(self._message(parameters, purpose))

    def _message(self, parameters: Vector, purpose: Purpose) -> ModelDispatched:
        slots = self.settings.batch_slots
        return dispatch_of(self.inmf, self.version, purpose, parameters, trajectory_slots=slots)

    def _send(self, message: ModelDispatched | BaselineOrdered) -> list[Effect]:
        self.dispatched, self.acknowledged = message, False
        return [self._publish(message), self._retry()]

    def _publish(self, message: ModelDispatched | BaselineOrdered) -> Publish:
        return Publish(message, Address(plvn=self.plvn, inmf=self.inmf), fence=self.fence)

    def _report(self, report: IndividualModelReported) -> Publish:
        return Publish(report, Address(plvn=self.plvn), fence=self.fence)

    def _retry(self) -> StartTimer:
        return StartTimer(self._timer, self.settings.retry_s)

    @property
    def _timer(self) -> str:
        return f"dispatch/{self.plvn}/{self.inmf}"
