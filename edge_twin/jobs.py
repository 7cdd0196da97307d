"""Long work of an edge server, for worker processes: meta task, adaptation, change test, export.

Every job is a frozen value that names its INMF and carries its own seed; running it twice gives the
same bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np

from twintier.edge_twin.mirror import joined
from twintier.inmf.contract import Columns, Emulator, Inmf, Posterior
from twintier.inmf.episodes import EpisodeBatch, Replayed
from twintier.inmf.registry import inmf_of
from twintier.inmf.spec import Array, TorchModule
from twintier.learning.adapt import Adaptation, AdaptationSettings, adapt
from twintier.learning.aggregate import Adam
from twintier.learning.emulated import adaptation_gradient
from twintier.learning.errors import LearningError
from twintier.learning.meta import MetaGradient, MetaSettings
from twintier.learning.policy import Policy, Vector
from twintier.learning.prior import prior_gradient
from twintier.learning.rollout import collect, mean_reward
from twintier.protocol.ids import InmfId

Origin = Literal["meta_model", "present_model"]


@cache
def policy_of(inmf: InmfId, device: str = "cpu") -> Policy:
    """Network and head of an INMF, made once a process."""
    return Policy.of(inmf_of(inmf).spec, device)


def greedy_reward(policy: Policy, parameters: Vector, batch: EpisodeBatch) -> float:
    """Mean reward a slot that a policy earns without exploring."""
    return mean_reward(collect(policy, parameters, batch, None))


def rule_reward(inmf: Inmf, batch: EpisodeBatch) -> float:
    """Mean reward a slot of the settled baseline."""
    return float(batch.rewards(inmf.rule_actions(batch)).mean())


def bound_reward(inmf: Inmf, batch: EpisodeBatch) -> float | None:
    """Mean reward a slot of the bound; None where the INMF states none."""
    if inmf.bound is None:
        return None
    return float(inmf.bound(batch).mean()) / batch.spec.slots


@dataclass(frozen=True, slots=True)
class TaskTwin:
    """One twin's part in a meta task: what it emulates."""

    plvn: str
    emulator: Emulator
    particles: Array | None
    """(k, h) plausible hidden parameters; None before any calibration."""
    seed: int


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """Why a twin cannot contribute."""

    reason: str


@dataclass(frozen=True, slots=True)
class MetaTask:
    """Fig. 5(a), edge side, for the sampled twins of one server."""

    inmf: InmfId
    twins: tuple[TaskTwin, ...]
    parameters: Vector
    log_step_sizes: Vector
    settings: MetaSettings
    prior_share: float
    """Share of tasks whose hidden parameters are an expert's."""
    prior: Vector | None = None
    """The meta model's other vector, if it has one of its own."""
    device: str = "cpu"
    """Where networks of an INMF's own are computed."""

    def run(self) -> dict[str, MetaGradient | TaskFailure]:
        """Each twin's gradient of its adaptation loss, or why there is none."""
        return {twin.plvn: self._one(twin) for twin in self.twins}

    def _one(self, twin: TaskTwin) -> MetaGradient | TaskFailure:
        rng = np.random.default_rng(twin.seed)
        hidden = self._hidden(twin, rng)
        policy = policy_of(self.inmf, self.device)

        def make_batch(generator: np.random.Generator) -> EpisodeBatch:
            return twin.emulator.draw(self.settings.episodes, generator, hidden)

        try:
            gradient = adaptation_gradient(
                policy,
                self.parameters,
                self.log_step_sizes,
                make_batch,
                settings=self.settings,
                rng=rng,
            )
            if self.prior is None:
                return gradient
            of_prior = prior_gradient(policy, self.prior, make_batch(rng), rng)
            return replace(gradient, prior_gradient=of_prior)
        except LearningError as error:
            return TaskFailure(str(error))

    def _hidden(self, twin: TaskTwin, rng: np.random.Generator) -> Array | None:
        """The task's hidden parameters: one set for all rounds, of calibration or prior."""
        calibration = inmf_of(self.inmf).calibration
        if calibration is None:
            return None
        if twin.particles is None or rng.random() < self.prior_share:
            return calibration.prior(1, rng)
        return twin.particles[[int(rng.integers(len(twin.particles)))]]


@dataclass(frozen=True, slots=True)
class Start:
    """Where adaptation may start."""

    kind: Origin
    parameters: Vector
    log_step_sizes: Vector | None


@dataclass(frozen=True, slots=True)
class AdaptationResult:
    """A candidate with what is known of its worth; rewards are means of a slot."""

    parameters: Vector
    origin: Start
    """Where the first exchange started; `reward_before` is its reward."""
    emulator: Emulator | None
    posterior: Posterior | None
    evidence: Literal["emulated", "measured"]
    """Emulated: all on the same traces, greedily. Measured: in the PLVN, while sampling."""
    reward_before: float | None
    reward_after: float | None
    baseline_reward: float | None
    bound_reward: float | None
    updates: int
    true_slots: int
    synthetic_slots: int
    halted: str = ""
    """As in `learning.adapt.Adaptation`."""
    adam: Adam | None = None
    """The optimiser, whose memory the next exchange goes on with; None where it begins anew."""


@dataclass(frozen=True, slots=True)
class AdaptationJob:
    """Calibrate, then the gradient steps of one exchange of Fig. 5(b) on hybrid data."""

    inmf: InmfId
    starts: tuple[Start, ...]
    origin: Start | None
    """Where the exchanges began; None in the first, which chooses it."""
    emulator: Emulator
    true: Columns
    known: Array | None
    """(k, h) hidden parameters met before; None where nothing is hidden."""
    settings: AdaptationSettings
    evaluation_episodes: int
    seed: int
    device: str = "cpu"
    """Where networks of an INMF's own are computed."""

    def run(self) -> AdaptationResult:
        """Calibrate, choose the better start, adapt it, and compare on common traces."""
        rng = np.random.default_rng(self.seed)
        inmf, policy = inmf_of(self.inmf), policy_of(self.inmf, self.device)
        posterior = self._calibrated(inmf, rng)
        emulated = _Emulated(self.emulator, posterior)
        common = emulated(self.evaluation_episodes, rng)
        before = [greedy_reward(policy, start.parameters, common) for start in self.starts]
        chosen = self.starts[int(np.argmax(before))]
        adapted = adapt(
            policy,
            chosen.parameters,
            emulated,
            settings=self.settings,
            rng=rng,
            log_step_sizes=chosen.log_step_sizes,
            true=self._replayed(posterior),
        )
        return self._result(inmf, policy, posterior, common, adapted, self.origin or chosen)

    def _result(  # noqa: PLR0917  # what `run` has found
        self,
        inmf: Inmf,
        policy: Policy,
        posterior: Posterior | None,
        common: EpisodeBatch,
        adapted: Adaptation,
        origin: Start,
    ) -> AdaptationResult:
        return AdaptationResult(
            parameters=adapted.parameters,
            origin=origin,
            emulator=self.emulator,
            posterior=posterior,
            evidence="emulated",
            reward_before=greedy_reward(policy, origin.parameters, common),
            reward_after=greedy_reward(policy, adapted.parameters, common),
            baseline_reward=rule_reward(inmf, common),
            bound_reward=bound_reward(inmf, common),
            updates=adapted.updates,
            true_slots=adapted.true_slots,
            synthetic_slots=adapted.synthetic_slots,
            halted=adapted.halted,
        )

    def _calibrated(self, inmf: Inmf, rng: np.random.Generator) -> Posterior | None:
        if inmf.calibration is None:
            return None
        known = np.zeros((0, 0)) if self.known is None else self.known
        return inmf.calibration.fit(self.true, known, rng)

    def _replayed(self, posterior: Posterior | None) -> Replayed | None:
        hidden = None if posterior is None else posterior.best[None]
        return self.emulator.replay(self.true, hidden)


@dataclass(frozen=True, slots=True)
class _Emulated:
    """Emulated episodes with hidden parameters as uncertain as the calibration is."""

    emulator: Emulator
    posterior: Posterior | None

    def __call__(self, episodes: int, rng: np.random.Generator) -> EpisodeBatch:
        hidden = None if self.posterior is None else self.posterior.draw(episodes, rng)
        return self.emulator.draw(episodes, rng, hidden)


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """Whether one set of hidden parameters explains both sides of a change point."""

    changed: bool
    statistic: float
    joint: Posterior


@dataclass(frozen=True, slots=True)
class ChangeTest:
    """A likelihood-ratio test behind an alarm: a biased calibration is no change."""

    inmf: InmfId
    before: Columns
    after: Columns
    known: Array
    threshold: float
    seed: int

    def run(self) -> ChangeResult:
        """Fit each side alone and both together, and compare how well they explain the slots."""
        rng = np.random.default_rng(self.seed)
        calibration = inmf_of(self.inmf).calibration
        assert calibration is not None, "only what is calibrated is tested for a change"
        sides = (self.before, self.after)
        both = joined(*sides)
        guesses = [calibration.fit(side, self.known, rng).best for side in sides]
        known = np.concatenate([self.known.reshape(-1, guesses[0].size), np.stack(guesses)])
        joint = calibration.fit(both, known, rng)
        guesses.append(joint.best)

        def least(slots: Columns) -> float:
            return min(float(calibration.misfits(slots, guess).sum()) for guess in guesses)

        statistic = least(both) - sum(least(side) for side in sides)
        return ChangeResult(statistic > self.threshold, statistic, joint)


@dataclass(frozen=True, slots=True)
class ExportJob:
    """Make the graph by which agents run a network that is not the built-in one."""

    inmf: InmfId

    def run(self) -> bytes:
        """The graph.

        Raises:
            SettingsError: if it cannot be made here; the message says what to install.
        """
        from twintier.learning.engines.onnx import exported  # noqa: PLC0415  # loads torch

        spec = inmf_of(self.inmf).spec
        assert isinstance(spec.network, TorchModule), "the built-in network needs no graph"
        return exported(spec.network, spec.observation_dim, policy_of(self.inmf).head.outputs)


def known_of(posteriors: Sequence[Array]) -> Array | None:
    """Hidden parameters met before as rows; None where there are none."""
    return np.stack(posteriors) if posteriors else None
