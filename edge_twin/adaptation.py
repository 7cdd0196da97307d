"""Fig. 5(b) for one PLVN and INMF: adapt in exchanges, dispatch, watch, retrain. No I/O.

Where it stands is a state of `life_cycle`, which has the table of all transitions. Whatever acts in
the PLVN keeps acting until the next dispatch. A job's result and trajectories that belong to an
earlier attempt carry its number and do nothing.

An INMF without an emulator goes the paper's pure way: candidates act by sampled actions, and their
true trajectories alone are learned from; one with labelled data needs no sampling.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from twintier.edge_twin.cache import CachedModel
from twintier.edge_twin.cusum import Alarm
from twintier.edge_twin.dispatch import Orders
from twintier.edge_twin.individual_model import IndividualModel, IndividualModelDeleted
from twintier.edge_twin.jobs import AdaptationResult, ChangeResult, Start
from twintier.edge_twin.life_cycle import (
    Exchanging,
    Happening,
    InForce,
    Probation,
    State,
    Testing,
    Training,
    Waiting,
    follows,
)
from twintier.edge_twin.mirror import Mirror, length
from twintier.edge_twin.probation import falls_short, is_enough, judged
from twintier.edge_twin.settings import EdgeSettings
from twintier.edge_twin.training import Making, Trainer, Tries, category_change
from twintier.edge_twin.watching import Watching
from twintier.inmf.contract import REWARD, Attributes, Columns, Emulator, Inmf
from twintier.inmf.registry import inmf_of
from twintier.inmf.spec import Windows
from twintier.inmf.supervised import SupervisedInmf
from twintier.protocol.ids import InmfId, PlvnId
from twintier.protocol.messages import (
    Cause,
    MetaModelMatch,
    RetrainTriggered,
    TelemetryReported,
    TrajectoriesReported,
)
from twintier.protocol.messages.registration import Site
from twintier.protocol.values import Fence
from twintier.runtime.effects import Count, Effect, Save


@dataclass(slots=True)
class ManagedInmf:
    """One INMF of one PLVN: its individual model and how it comes to be replaced."""

    plvn: PlvnId
    id: InmfId
    site: Site
    settings: EdgeSettings
    mirror: Mirror
    orders: Orders
    trainer: Trainer
    state: State
    watching: Watching
    match: MetaModelMatch | None = None
    meta_model: CachedModel | None = None
    model: IndividualModel | None = None
    """The final model that acts or is on probation."""
    last_good: IndividualModel | None = None
    """Kept only during probation."""
    fitted: Emulator | None = None
    fitted_at: int = 0
    """Slots of telemetry that had come when the emulator was fitted."""
    trained_category: str = ""
    """The PLVN's category when its model was made."""
    moved: tuple[str, str] | None = None
    """A change of category, from and to, that the state could not take yet."""
    given_up: int = 0
    """Adaptations in a row that came to nothing; each doubles the wait for the next."""
    errors: int = field(default=0)
    """Times that the INMF's own code has failed here."""

    @classmethod
    def begin(
        cls, plvn: PlvnId, inmf: InmfId, site: Site, fence: Fence, settings: EdgeSettings
    ) -> "ManagedInmf":
        """Nothing has been seen yet."""
        known = inmf_of(inmf)
        windows = settings.windows_of(known)
        orders = Orders(plvn, inmf, fence, known.schema_id, windows.batch, settings.retry_s)
        return cls(
            plvn,
            inmf,
            site,
            settings,
            Mirror.of(known, settings.telemetry_slots, settings.trajectory_slots),
            orders,
            Trainer(plvn, inmf, settings),
            Waiting(0, 0 if settings.paper_loop else windows.exchange),
            Watching.begin(known, windows),
        )

    @property
    def inmf(self) -> Inmf:
        """What is managed."""
        return inmf_of(self.id)

    @property
    def windows(self) -> Windows:
        """Lengths in slots."""
        return self.settings.windows_of(self.inmf)

    def emulator(self) -> Emulator | None:
        """Emulation models fitted to telemetry; the expert's before there is any; or none."""
        if self.settings.paper_loop:
            return None
        seen = self.mirror.telemetry_seen
        if self.fitted is not None and seen - self.fitted_at < self.windows.refit:
            return self.fitted
        expert = self.inmf.emulator(self.site)
        rows = self.mirror.telemetry.newest(self.settings.telemetry_slots)
        self.fitted = expert.fit(rows) if expert is not None and rows else expert
        self.fitted_at = seen
        return self.fitted

    def attributes(self, window_s: float) -> tuple[Attributes, int] | None:
        """Its part of the attributes over a window, and the slots that it rests on, if any."""
        inmf = self.inmf
        rows = self.mirror.telemetry.newest(max(1, int(window_s / inmf.spec.slot_s)))
        return (inmf.attributes(rows), length(rows)) if rows else None

    def restore(self, model: IndividualModel) -> None:
        """Go on with a model that acted before a restart, older ones first; the watch begins anew.

        One on probation stays there, with the model before it to go back to.
        """
        on_probation = model.report.state == "probation"
        self.last_good = self.model if on_probation else None
        self.model = model
        self.orders.restore(model.version, model.parameters)
        self._move("restored", Probation() if on_probation else InForce())

    def on_telemetry(self, message: TelemetryReported) -> None:
        """Take in the slots of this INMF.

        Raises:
            ColumnsError: if they do not fit.
        """
        self.mirror.add_telemetry(self.inmf, message.slot_first, message)

    def on_meta_model(self, model: CachedModel) -> list[Effect]:
        """A meta model of the match is there."""
        self.meta_model = model
        return self._begin_if_ready()

    def begin_epoch(self) -> None:
        """Slots are counted anew: those of before are of another time."""
        self.mirror.trajectories.clear()
        if isinstance(self.state, Waiting | Training | Exchanging):
            self.state = replace(self.state, since_slot=0)

    def on_trajectories(self, message: TrajectoriesReported, sim_time_s: float) -> list[Effect]:
        """True slots have come in.

        Raises:
            ColumnsError: if they do not fit.
        """
        rows = self.mirror.add_trajectories(self.inmf, message)
        if message.model_version > self.orders.version:
            return self._overtake(message.model_version)
        if self.moved is not None and (taken := self._take_category(sim_time_s)):
            return taken
        ours = message.model_version == self.orders.version
        match self.state:
            case Waiting():
                return self._begin_if_ready()
            case Exchanging() as state if message.model_version == state.version:
                if message.policy == "baseline" and self._explores():
                    return self._on_guard(state)
                return self._on_exchange(state, int(rows[REWARD].size))
            case Probation() if ours:
                watched = self._watch(rows, message.slot_first, sim_time_s)
                return [*watched, *self._on_probation(rows)]
            case InForce() if ours:
                return self._watch(rows, message.slot_first, sim_time_s)
            case _:  # slots of an older model, or a job is running: the mirror keeps them
                return []

    def on_result(self, attempt: int, result: AdaptationResult, now_sim_s: float) -> list[Effect]:
        """The model of an exchange is made."""
        state = self.state
        if not isinstance(state, Training) or state.attempt != attempt:
            return [Count("adaptations_outdated")]
        self.trainer.posterior = result.posterior
        self.trainer.tries.add(result)
        halted = [Count("adaptations_halted")] if result.halted else []
        return [*halted, *self._go_on(state, result, now_sim_s)]

    def on_change_tested(self, attempt: int, result: ChangeResult) -> list[Effect]:
        """The change test has spoken."""
        state = self.state
        if not isinstance(state, Testing) or state.attempt != attempt:
            return [Count("tests_outdated")]
        if not result.changed:
            self.trainer.posterior = result.joint
            self.watching.restart()
            self._move("unchanged", state.then)
            return [Count("watch.recalibrated")]
        return self._retrain("changed", self.watching.cause(state.alarm), state.alarm.change_slot)

    def on_failure(self, attempt: int) -> list[Effect]:
        """A job has failed: try again with the next slots, for the same would fail again."""
        match self.state:
            case Training(attempt=running) as state if running == attempt:
                there = self.mirror.trajectories.since(state.since_slot).size
                self._move("job failed", Waiting(state.since_slot, there + 1))
                return [Count("adaptations_failed")]
            case Testing(attempt=running) as state if running == attempt:
                self._move("job failed", state.then)
                return [Count("tests_failed")]
            case _:
                return []

    def on_category(self, category: str, sim_time_s: float) -> list[Effect]:
        """The PLVN has moved to another category, and `meta_model` fits that one."""
        if self.model is not None and category != self.trained_category:
            self.moved = (self.trained_category, category)
        return self._take_category(sim_time_s)

    def _take_category(self, sim_time_s: float) -> list[Effect]:
        """Retrain for another category as soon as the state can take it."""
        if self.moved is None or not isinstance(self.state, Waiting | InForce | Probation):
            return []
        (before, after), self.moved = self.moved, None
        origin = "" if self.model is None else self.model.report.origin_category
        same_origin = self.meta_model is not None and self.meta_model.category == origin
        if same_origin or isinstance(self.state, Waiting):
            return []
        cause = category_change(before, after, sim_time_s)
        return self._retrain("category changed", cause, self.mirror.trajectories.newest_slot)

    def on_refused(self, version: int, reason: str) -> list[Effect]:
        """The PLVN cannot use what was dispatched: the model before acts, or the baseline.

        It gets another one from fresh slots, after a wait that doubles from refusal to refusal.
        """
        if version != self.orders.version:
            return []
        effects: list[Effect] = [*self.orders.answered(), Count("models_refused")]
        if isinstance(self.state, Probation):
            effects += self._forget(self.model, "rolled_back")
            self.model, self.last_good = self.last_good, None
        elif self.model is not None and self.orders.is_of(self.model.model):
            effects += self._forget(self.model)
            self.model = None
        if self.model is None:
            effects += self.orders.baseline(f"version {version} was refused: {reason}"[:512])
        else:
            effects += self.orders.dispatch(self.model.parameters, "rollback")
        wait = self.windows.exchange * 2 ** min(self.given_up, 6)
        self.given_up += 1
        self._move("refused", Waiting(self.mirror.trajectories.newest_slot, wait))
        return effects

    def _move(self, happening: Happening, then: State) -> None:
        self.state = follows(self.state, happening, then)

    def _overtake(self, version: int) -> list[Effect]:
        """The PLVN acts by what was dispatched before a restart: supersede it."""
        self.orders.version = version
        count = Count("versions_overtaken")
        if self.model is None or not isinstance(self.state, InForce):
            return [count]
        return [count, *self.orders.dispatch(self.model.parameters, "final")]

    # Making a model

    def _begin_if_ready(self) -> list[Effect]:
        state = self.state
        if not isinstance(state, Waiting) or self.meta_model is None:
            return []
        if self.mirror.trajectories.since(state.since_slot).size < state.slots_needed:
            return []
        if self._explores():
            return self._sample(self.meta_model)
        return self._train("begun", 0, state.since_slot)

    def _explores(self) -> bool:
        return self.emulator() is None and not isinstance(self.inmf, SupervisedInmf)

    def _sample(self, meta_model: CachedModel) -> list[Effect]:
        """Let the PLVN sample actions of the best start there is: true slots to learn from."""
        start = self.orders.present if self.model is not None else None
        parameters = meta_model.init if start is None else start
        effects = self.orders.dispatch(parameters, "exchange", sampled=True)
        since = self.mirror.trajectories.next_slot
        self._move("begun by sampling", Exchanging(0, since, self.orders.version))
        return effects

    def _on_exchange(self, state: Exchanging, slots: int) -> list[Effect]:
        self._move("block", replace(state, slots=state.slots + slots))
        if state.slots + slots < self.windows.exchange:
            return []
        return self._train("true slots back", state.exchange + 1, state.since_slot)

    def _on_guard(self, state: Exchanging) -> list[Effect]:
        """The PLVN's guard has stopped what explored: learn of what there is, or sample again."""
        if state.slots >= self.inmf.spec.slots:
            return self._train("true slots back", state.exchange + 1, state.since_slot)
        candidate = self.orders.present
        assert candidate is not None, "something explored"
        effects = self.orders.dispatch(candidate, "exchange", sampled=True)
        self._move("stopped by the guard", replace(state, version=self.orders.version))
        return effects

    def _train(self, happening: Happening, exchange: int, since_slot: int) -> list[Effect]:
        assert self.meta_model is not None
        since = self.mirror.trajectories.since(since_slot)
        emulator, present = self.emulator(), self.orders.present
        rows = since.newest(since.size if emulator is None else self.windows.calibration)
        if emulator is None:
            acted = self.meta_model.init if present is None else present
            start = Start("meta_model" if self.model is None else "present_model", acted, None)
            job = self.trainer.adapt_logged(start, rows, self.mirror.rule_reward)
        else:
            job = self.trainer.adapt(self.meta_model, present, emulator, rows)
        self._move(happening, Training(self.trainer.attempt, exchange, since_slot))
        return [job]

    def _go_on(self, state: Training, result: AdaptationResult, now_sim_s: float) -> list[Effect]:
        if not is_enough(state.exchange, result, self.settings):
            sampled = self._explores()
            effects = self.orders.dispatch(result.parameters, "exchange", sampled=sampled)
            since = self.mirror.trajectories.next_slot if sampled else state.since_slot
            self._move("candidate made", Exchanging(state.exchange, since, self.orders.version))
            return effects
        if falls_short(result.reward_after, result.baseline_reward, self.inmf.spec, self.settings):
            return self._give_up(result)
        return self._finish(state, result, now_sim_s)

    def _finish(self, state: Training, result: AdaptationResult, sim_time_s: float) -> list[Effect]:
        """Dispatch the final model; the one before stays until probation is passed."""
        assert self.meta_model is not None
        effects = self.orders.dispatch(result.parameters, "final")
        making = Making(
            self.inmf,
            self.orders.version,
            self.orders.model,
            self.meta_model,
            state.exchange,
            self.trainer.tries,
            "" if self.model is None else self.model.model,
            sim_time_s,
        )
        report = making.report(result)
        self.last_good = self.model
        self.model = self.trainer.model(result, self.orders.version, self.orders.model, report)
        self.trainer.remember(result.posterior)
        self.trainer.tries, self.given_up = Tries(), 0
        self.watching.restart()
        self._move("model made", Probation())
        return [Save(self.model), *effects, self.orders.tell(report)]

    def _give_up(self, result: AdaptationResult) -> list[Effect]:
        """No model comes near the baseline in this condition: the baseline acts, for a while."""
        self.trainer.tries = Tries()
        unit = self.inmf.spec.reward_unit
        order = self.orders.baseline(
            f"adapted model earns {result.reward_after:.3f} {unit} a slot ({result.evidence}), "
            f"the classical baseline {result.baseline_reward:.3f}"
        )
        self.given_up += 1
        wait = self.windows.exchange * 2 ** min(self.given_up + 1, 6)
        self._move("given up", Waiting(self.mirror.trajectories.next_slot, wait))
        gone = self._forget(self.model)
        self.model = None
        return [*gone, *order, Count("adaptations_given_up")]

    # Watching a model

    def _watch(self, rows: Columns, slot_first: int, sim_time_s: float) -> list[Effect]:
        posterior = self.trainer.posterior
        if posterior is None and self.watching.is_of_residuals:  # after a restart
            log, threshold = self.mirror.trajectories, self.settings.change_threshold
            first = self.watching.first_calibration(log, threshold, sim_time_s)
            return [] if first is None else self._test(first)
        alarm = self.watching.add(rows, posterior, slot_first, sim_time_s)
        if alarm is None:
            return []
        if self.watching.is_of_residuals:
            return [*self._test(alarm), Count("alarms")]
        cause = self.watching.cause(alarm)
        return [*self._retrain("changed", cause, alarm.change_slot), Count("alarms")]

    def _test(self, alarm: Alarm) -> list[Effect]:
        assert isinstance(self.state, Probation | InForce)
        side = self.windows.calibration // 2
        job = self.trainer.examine(*self.mirror.trajectories.sides(alarm.change_slot, side))
        self._move("alarm", Testing(self.trainer.attempt, alarm, self.state))
        return [job]

    def _on_probation(self, rows: Columns) -> list[Effect]:
        """Hold the model's reward against the baseline's on the same states."""
        if not isinstance(self.state, Probation):
            return []
        posterior, calibration = self.trainer.posterior, self.inmf.calibration
        if calibration is not None and posterior is None:
            return []
        emulator = self.emulator()
        state = judged(self.state, rows, self.inmf, self.mirror, emulator, posterior=posterior)
        self._move("block", state)
        if state.blocks < self.settings.probation_blocks:
            return []
        mean, rule = state.reward / state.slots, state.rule_reward / state.slots
        if falls_short(mean, rule, self.inmf.spec, self.settings):
            return self._roll_back()
        return self._take_in_force()

    def _take_in_force(self) -> list[Effect]:
        assert self.model is not None
        self._move("passed", InForce())
        report = self.model.report.model_copy(update={"state": "in_force"})
        self.model = replace(self.model, report=report)
        effects: Sequence[Effect] = [Save(self.model), self.orders.tell(report)]
        old, self.last_good = self.last_good, None
        return [*effects, *self._forget(old)]

    def _roll_back(self) -> list[Effect]:
        """The new model falls short of the baseline: the last good one acts, or the baseline."""
        assert self.model is not None
        effects = [*self._forget(self.model, "rolled_back"), Count("models_rolled_back")]
        self.model, self.last_good = self.last_good, None
        if self.model is None:
            reason = "the model on probation earned less than the classical baseline"
            effects += self.orders.baseline(reason)
        else:
            effects += self.orders.dispatch(self.model.parameters, "rollback")
        next_slot = self.mirror.trajectories.next_slot
        self._move("rolled back", Waiting(next_slot, self.windows.exchange))
        return effects

    def _retrain(self, happening: Happening, cause: Cause, since_slot: int) -> list[Effect]:
        self.trainer.tries = Tries(cause=cause)
        self.watching.restart()
        self._move(happening, Waiting(since_slot, self.windows.retrain))
        from_model = "" if self.model is None else self.model.model
        old, self.last_good = self.last_good, None  # the one on probation outlives it
        triggered = RetrainTriggered(
            inmf=self.id, cause=cause, from_model=from_model[:64] or "baseline"
        )
        return [*self._forget(old), self.orders.tell(triggered), *self._begin_if_ready()]

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
        return [Save(deleted), self.orders.tell(report)]
