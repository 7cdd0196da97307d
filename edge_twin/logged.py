"""Long work on true slots alone, for an INMF without an emulator: the paper's pure loop."""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from twintier.edge_twin.jobs import AdaptationResult, Start, TaskFailure, policy_of
from twintier.inmf.contract import LOG_PROB, REWARD, SAMPLE, Columns
from twintier.inmf.registry import inmf_of
from twintier.learning.aggregate import Adam
from twintier.learning.errors import LearningError
from twintier.learning.logged import Logged, adapt_logged, logged_gradient
from twintier.learning.meta import MetaGradient, MetaSettings
from twintier.learning.policy import Vector
from twintier.learning.ppo import PpoSettings
from twintier.protocol.ids import InmfId

LEAST_SHARE = 0.3
"""Effective share of the true slots below which a candidate is too far from what sampled them."""


def logged_of(inmf: InmfId, true: Columns) -> Logged:
    """True slots whose actions were sampled, in whole episodes."""
    known = inmf_of(inmf)
    sampled = ~np.isnan(true[LOG_PROB])
    rows = {name: array[sampled] for name, array in true.items()}
    return Logged.of(
        known.spec,
        known.observe(rows),
        rows[SAMPLE].astype(np.float32),
        rows[LOG_PROB].astype(np.float32),
        rows[REWARD],
    )


@dataclass(frozen=True, slots=True)
class LoggedJob:
    """Gradient steps of one exchange of Fig. 5(b) on true slots alone."""

    inmf: InmfId
    start: Start
    """What acted, by sampled actions, while the slots were made."""
    origin: Start | None
    true: Columns
    rule_reward: float | None
    """What the baseline has lately earned here."""
    updates: int
    """PPO updates at most."""
    ppo: PpoSettings
    seed: int
    adam: Adam | None = None
    """The optimiser as the exchange before has left it."""

    def run(self) -> AdaptationResult:
        """Adapt what acted; its worth is what it measured."""
        rng = np.random.default_rng(self.seed)
        logged = logged_of(self.inmf, self.true)
        policy, parameters = policy_of(self.inmf), self.start.parameters
        adam = Adam(self.ppo.learning_rate) if self.adam is None else deepcopy(self.adam)
        made = 0
        while made < self.updates:
            adapted = adapt_logged(
                policy, parameters, logged, settings=self.ppo, rng=rng, adam=adam
            )
            if adapted.effective_share < LEAST_SHARE:
                break  # the slots say little of this candidate; the one before stays
            parameters, made = adapted.parameters, made + 1
        reward = float(self.true[REWARD].mean())
        return AdaptationResult(
            parameters=parameters,
            origin=self.origin or self.start,
            emulator=None,
            posterior=None,
            evidence="measured",
            reward_before=reward,
            reward_after=reward,
            baseline_reward=self.rule_reward,
            bound_reward=None,
            updates=made,
            true_slots=logged.log_prob.size,
            synthetic_slots=0,
            adam=adam,
        )


@dataclass(frozen=True, slots=True)
class LoggedTwin:
    """One twin's part in a meta task: what it has kept of its PLVN."""

    plvn: str
    true: Columns


@dataclass(frozen=True, slots=True)
class LoggedTask:
    """Fig. 5(a), edge side, on stored trajectories: a first set and a held-out half."""

    inmf: InmfId
    twins: tuple[LoggedTwin, ...]
    parameters: Vector
    log_step_sizes: Vector
    settings: MetaSettings

    def run(self) -> dict[str, MetaGradient | TaskFailure]:
        """Each twin's gradient, or why there is none."""
        return {twin.plvn: self._one(twin) for twin in self.twins}

    def _one(self, twin: LoggedTwin) -> MetaGradient | TaskFailure:
        if not twin.true:
            return TaskFailure("no true slots yet, and the INMF states no emulator")
        try:
            return logged_gradient(
                policy_of(self.inmf),
                self.parameters,
                self.log_step_sizes,
                logged_of(self.inmf, twin.true),
                settings=self.settings,
            )
        except LearningError as error:
            return TaskFailure(str(error))
