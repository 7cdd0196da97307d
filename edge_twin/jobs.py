"""Long work of an edge server, for worker processes: meta task, adaptation, change test.

Every job is a frozen value that carries its own seed; running it twice gives the same bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from twintier.inmf.actor import Actor, PolicySpec
from twintier.inmf.evaluate import greedy_modes, mean_reward_j
from twintier.inmf.perception.assisted import COOP_PERCEPTION_ASSISTED as SPEC
from twintier.inmf.perception.assisted import AssistedEpisodes
from twintier.inmf.perception.baselines import settled_aimd_modes
from twintier.inmf.perception.bound import clairvoyant
from twintier.inmf.perception.calibration import Calibration, calibrate, misfits
from twintier.inmf.perception.condition import Condition, draw_conditions
from twintier.inmf.perception.emulator import EmulatorParameters, draw_trace
from twintier.inmf.trajectory import Trace, Trajectories
from twintier.learning.adapt import AdaptationSettings, TrueEpisodes, adapt
from twintier.learning.errors import LearningError
from twintier.learning.meta import MetaGradient, MetaSettings, adaptation_gradient
from twintier.learning.policy import Vector
from twintier.learning.teacher import teacher_gradient

POLICY = PolicySpec(SPEC.observation_dim, SPEC.action_dim)


@dataclass(frozen=True, slots=True)
class TaskTwin:
    """One twin's part in a meta task: what it emulates."""

    plvn: str
    emulator: EmulatorParameters
    particles: tuple[Condition, ...]
    """Plausible hidden conditions; empty before any calibration."""
    seed: int


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """Why a twin cannot contribute."""

    reason: str


@dataclass(frozen=True, slots=True)
class MetaTask:
    """Fig. 5(a), edge side, for the sampled twins of one server."""

    twins: tuple[TaskTwin, ...]
    parameters: Vector
    log_step_sizes: Vector
    settings: MetaSettings
    prior_share: float
    teacher: bool = False
    """Whether the first stage is on: learn from the emulator's answers, without adaptation."""

    def run(self) -> dict[str, MetaGradient | TaskFailure]:
        """Each twin's gradient of its adaptation loss, or why there is none."""
        return {twin.plvn: self._one(twin) for twin in self.twins}

    def _one(self, twin: TaskTwin) -> MetaGradient | TaskFailure:
        rng = np.random.default_rng(twin.seed)
        condition = self._condition(twin, rng)

        def make_batch(generator: np.random.Generator) -> AssistedEpisodes:
            episodes = self.settings.episodes
            trace = draw_trace(twin.emulator, episodes, SPEC.slots, generator)
            return AssistedEpisodes(trace, condition)

        try:
            if self.teacher:
                return teacher_gradient(POLICY, self.parameters, make_batch(rng), rng)
            return adaptation_gradient(
                POLICY,
                self.parameters,
                self.log_step_sizes,
                make_batch,
                settings=self.settings,
                rng=rng,
            )
        except LearningError as error:
            return TaskFailure(str(error))

    def _condition(self, twin: TaskTwin, rng: np.random.Generator) -> Condition:
        """The task's hidden condition: one for all rounds, of the calibration or of the prior."""
        if not twin.particles or rng.random() < self.prior_share:
            return draw_conditions(1, rng)[0]
        return twin.particles[int(rng.integers(len(twin.particles)))]


@dataclass(frozen=True, slots=True)
class Start:
    """Where adaptation may start."""

    kind: Literal["meta_model", "present_model"]
    parameters: Vector
    log_step_sizes: Vector | None


@dataclass(frozen=True, slots=True)
class AdaptationResult:
    """A candidate with what the emulator says of it, all on the same traces, J a slot."""

    parameters: Vector
    origin: Start
    """Where the first exchange started; `reward_before` is its reward."""
    emulator: EmulatorParameters
    calibration: Calibration
    reward_before: float
    reward_after: float
    baseline_reward: float
    bound_reward: float
    updates: int
    true_slots: int
    synthetic_slots: int
    halted: str = ""
    """As in `learning.adapt.Adaptation`."""


@dataclass(frozen=True, slots=True)
class AdaptationJob:
    """Calibrate, then the gradient steps of one exchange of Fig. 5(b) on hybrid data."""

    starts: tuple[Start, ...]
    origin: Start | None
    """Where the exchanges began; None in the first, which chooses it."""
    emulator: EmulatorParameters
    trajectories: Trajectories
    known_conditions: tuple[Condition, ...]
    settings: AdaptationSettings
    evaluation_episodes: int
    seed: int

    def run(self) -> AdaptationResult:
        """Calibrate, choose the better start, adapt it, and compare on common traces."""
        rng = np.random.default_rng(self.seed)
        calibration = calibrate(self.trajectories, self.known_conditions, rng)
        common = draw_trace(self.emulator, self.evaluation_episodes, SPEC.slots, rng)
        conditions = calibration.draw(common.episodes, rng)
        before = [greedy_reward_j(start.parameters, common, conditions) for start in self.starts]
        chosen = self.starts[int(np.argmax(before))]
        origin = self.origin or chosen
        adapted = adapt(
            POLICY,
            chosen.parameters,
            _Emulated(self.emulator, calibration),
            settings=self.settings,
            rng=rng,
            log_step_sizes=chosen.log_step_sizes,
            true=self._true_episodes(calibration.condition),
        )
        return AdaptationResult(
            parameters=adapted.parameters,
            origin=origin,
            emulator=self.emulator,
            calibration=calibration,
            reward_before=greedy_reward_j(origin.parameters, common, conditions),
            reward_after=greedy_reward_j(adapted.parameters, common, conditions),
            baseline_reward=baseline_reward_j(common, conditions),
            bound_reward=float(clairvoyant(common, conditions).mean()) / common.slots,
            updates=adapted.updates,
            true_slots=adapted.true_slots,
            synthetic_slots=adapted.synthetic_slots,
            halted=adapted.halted,
        )

    def _true_episodes(self, condition: Condition) -> TrueEpisodes | None:
        episodes = _in_episodes(self.trajectories, SPEC.slots)
        if episodes is None:
            return None
        return TrueEpisodes(episodes, AssistedEpisodes(episodes.trace, condition))


@dataclass(frozen=True, slots=True)
class _Emulated:
    """Emulated episodes in the calibrated condition, as uncertain as the calibration is."""

    emulator: EmulatorParameters
    calibration: Calibration

    def __call__(self, episodes: int, rng: np.random.Generator) -> AssistedEpisodes:
        trace = draw_trace(self.emulator, episodes, SPEC.slots, rng)
        return AssistedEpisodes(trace, self.calibration.draw(episodes, rng))


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """Whether one condition explains both sides of a change point."""

    changed: bool
    statistic: float
    joint: Calibration


@dataclass(frozen=True, slots=True)
class ChangeTest:
    """A likelihood-ratio test behind an alarm: a biased calibration is no change."""

    before: Trajectories
    after: Trajectories
    known_conditions: tuple[Condition, ...]
    threshold: float
    seed: int

    def run(self) -> ChangeResult:
        """Fit each side alone and both together, and compare how well they explain the slots."""
        rng = np.random.default_rng(self.seed)
        both = join(self.before, self.after)
        alone = [calibrate(side, self.known_conditions, rng) for side in (self.before, self.after)]
        guesses = [fit.condition for fit in alone]
        joint = calibrate(both, (*self.known_conditions, *guesses), rng)
        guesses.append(joint.condition)
        together = min(float(misfits(both, guess).sum()) for guess in guesses)
        apart = sum(
            min(float(misfits(side, guess).sum()) for guess in guesses)
            for side in (self.before, self.after)
        )
        statistic = together - apart
        return ChangeResult(statistic > self.threshold, statistic, joint)


def baseline_reward_j(trace: Trace, conditions: Condition | Sequence[Condition]) -> float:
    """Mean J a slot of `classical_aimd` on a trace."""
    batch = AssistedEpisodes(trace, conditions)
    return mean_reward_j(batch, settled_aimd_modes(batch))


def join(first: Trajectories, second: Trajectories) -> Trajectories:
    """Slots of one after the slots of the other, each of one episode."""

    def along(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([a, b], axis=1)

    return Trajectories(
        Trace(
            along(first.trace.bandwidth_hz, second.trace.bandwidth_hz),
            along(first.trace.objects, second.trace.objects),
            along(first.trace.distance_m, second.trace.distance_m),
            along(first.trace.present, second.trace.present),
        ),
        along(first.modes_before, second.modes_before),
        along(first.modes, second.modes),
        along(first.reward_j, second.reward_j),
    )


def greedy_reward_j(
    parameters: Vector, trace: Trace, conditions: Condition | Sequence[Condition]
) -> float:
    """Mean J a slot that a policy earns greedily on a trace."""
    batch = AssistedEpisodes(trace, conditions)
    return mean_reward_j(batch, greedy_modes(Actor(POLICY, parameters), batch))


def _in_episodes(trajectories: Trajectories, slots: int) -> Trajectories | None:
    """The newest slots cut into whole episodes; None if there are too few."""
    episodes = trajectories.reward_j.shape[1] // slots
    if not episodes:
        return None

    def cut(array: np.ndarray) -> np.ndarray:
        return array[0, -episodes * slots :].reshape(episodes, slots, *array.shape[2:])

    trace = trajectories.trace
    return Trajectories(
        Trace(
            cut(trace.bandwidth_hz), cut(trace.objects), cut(trace.distance_m), cut(trace.present)
        ),
        cut(trajectories.modes_before),
        cut(trajectories.modes),
        cut(trajectories.reward_j),
    )
