"""What one adaptation uses over its exchanges, and the jobs that make its candidates. No I/O."""

from dataclasses import dataclass, field

import numpy as np

from twintier.edge_twin.cache import CachedModel
from twintier.edge_twin.individual_model import IndividualModel
from twintier.edge_twin.jobs import AdaptationJob, AdaptationResult, ChangeTest, Start, known_of
from twintier.edge_twin.keys import Adapting, ChangeTesting
from twintier.edge_twin.labelled import LabelledJob
from twintier.edge_twin.logged import LoggedJob
from twintier.edge_twin.settings import EdgeSettings
from twintier.inmf.contract import SAMPLE, Columns, Emulator, Inmf, Posterior
from twintier.inmf.registry import inmf_of
from twintier.inmf.spec import Array
from twintier.inmf.supervised import SupervisedInmf
from twintier.learning.aggregate import Adam
from twintier.learning.policy import Vector
from twintier.protocol.ids import InmfId, ModelId, PlvnId
from twintier.protocol.messages import Cause, IndividualModelReported
from twintier.runtime.effects import StartJob

MEMORY = 8
"""Hidden parameters of conditions met before that are kept as guesses."""


@dataclass(slots=True)
class Tries:
    """What one adaptation has used so far, over all its exchanges."""

    steps: int = 0
    true_slots: int = 0
    synthetic_slots: int = 0
    origin: Start | None = None
    """Where the first exchange started."""
    reward_before: float | None = None
    """Measured in the first exchange, where nothing is emulated."""
    cause: Cause | None = None
    adam: Adam | None = None
    """Of the newest exchange, if the next one goes on with its memory."""

    def add(self, result: AdaptationResult) -> None:
        """Count an exchange."""
        self.origin, self.adam = result.origin, result.adam
        self.steps += result.updates
        self.true_slots += result.true_slots
        self.synthetic_slots += result.synthetic_slots
        if self.reward_before is None:
            self.reward_before = result.reward_before


@dataclass(slots=True)
class Trainer:
    """Makes the jobs of one PLVN and INMF, and remembers what they have found."""

    plvn: PlvnId
    inmf: InmfId
    settings: EdgeSettings
    attempt: int = 0
    """Number of the newest job."""
    tries: Tries = field(default_factory=Tries)
    posterior: Posterior | None = None
    memory: list[Array] = field(default_factory=list)
    """Hidden parameters of conditions met before; good guesses for the next calibration."""

    def adapt(
        self, meta_model: CachedModel, present: Vector | None, emulator: Emulator, true: Columns
    ) -> StartJob:
        """The job of an exchange, on hybrid data."""
        starts = [Start("meta_model", meta_model.init, meta_model.log_step_sizes)]
        if meta_model.prior is not None:
            starts.append(Start("meta_model", meta_model.prior, None))
        if present is not None:
            starts.append(Start("present_model", present, None))
        job = AdaptationJob(
            inmf=self.inmf,
            starts=tuple(starts),
            origin=self.tries.origin,
            emulator=emulator,
            true=true,
            known=known_of(self._known()),
            settings=self.settings.adaptation,
            evaluation_episodes=self.settings.evaluation_episodes,
            seed=self._next_seed(),
            device=self.settings.device,
        )
        return StartJob(Adapting(self.plvn, self.inmf, self.attempt), job)

    def adapt_logged(self, start: Start, true: Columns, rule_reward: float | None) -> StartJob:
        """The job of an exchange, on true slots alone: labelled, or with sampled actions."""
        adaptation = self.settings.adaptation
        if isinstance(inmf_of(self.inmf), SupervisedInmf):
            steps, rate = adaptation.updates * adaptation.ppo.passes, adaptation.ppo.learning_rate
            labelled = LabelledJob(
                self.inmf, start, self.tries.origin, true, rule_reward, steps, rate
            )
            self.attempt += 1
            return StartJob(Adapting(self.plvn, self.inmf, self.attempt), labelled)
        sampled = ~np.isnan(true[SAMPLE]).any(axis=-1)
        slots = {name: array[sampled] for name, array in true.items()}
        job = LoggedJob(
            self.inmf,
            start,
            self.tries.origin,
            slots,
            rule_reward,
            adaptation.updates,
            adaptation.ppo,
            self._next_seed(),
            self.tries.adam,
        )
        return StartJob(Adapting(self.plvn, self.inmf, self.attempt), job)

    def examine(self, before: Columns, after: Columns) -> StartJob:
        """The job that tells a change from a biased calibration."""
        known = known_of(self._known())
        test = ChangeTest(
            self.inmf,
            before,
            after,
            np.zeros((0, 0)) if known is None else known,
            self.settings.change_threshold,
            self._next_seed(),
        )
        return StartJob(ChangeTesting(self.plvn, self.inmf, self.attempt), test)

    def remember(self, posterior: Posterior | None) -> None:
        """Keep a condition as one that was met."""
        if posterior is not None:
            self.memory = [*self.memory, posterior.best][-MEMORY:]

    def model(
        self,
        result: AdaptationResult,
        version: int,
        model: ModelId,
        report: IndividualModelReported,
    ) -> IndividualModel:
        """The individual model of a result, as it goes on probation."""
        return IndividualModel(
            self.plvn,
            self.inmf,
            version,
            model,
            result.parameters,
            result.origin.parameters,
            result.emulator,
            report,
        )

    def _known(self) -> list[Array]:
        present = [] if self.posterior is None else [self.posterior.best]
        return [*self.memory, *present]

    def _next_seed(self) -> int:
        self.attempt += 1
        return attempt_seed(self.settings.seed, self.plvn, self.inmf, self.attempt)


@dataclass(frozen=True, slots=True)
class Making:
    """What a report of a new individual model tells beside its job's result."""

    inmf: Inmf
    version: int
    model: ModelId
    meta_model: CachedModel
    exchanges: int
    tries: Tries
    replaced: str
    sim_time_s: float

    def report(self, result: AdaptationResult) -> IndividualModelReported:
        """The report of a model that goes on probation."""
        before = result.reward_before if result.evidence == "emulated" else self.tries.reward_before
        return IndividualModelReported(
            state="probation",
            origin=result.origin.kind,
            evidence=result.evidence,
            reward_before=before,
            reward_after=result.reward_after,
            baseline_reward=result.baseline_reward,
            bound_reward=result.bound_reward,
            inmf=InmfId(self.inmf.spec.inmf),
            version=self.version,
            model=self.model,
            origin_category=self.meta_model.category,
            origin_version=self.meta_model.version,
            exchanges=self.exchanges,
            adaptation_steps=self.tries.steps,
            true_slots=self.tries.true_slots,
            synthetic_slots=self.tries.synthetic_slots,
            sim_time_s=self.sim_time_s,
            replaced=self.replaced,
            cause=() if self.tries.cause is None else (self.tries.cause,),
        )


def attempt_seed(seed: int, plvn: PlvnId, inmf: InmfId, attempt: int) -> int:
    """Seed of a twin's job number `attempt`, the first being 1, on a server with this seed."""
    name = f"{plvn}/{inmf}".encode()
    return int(np.random.default_rng([seed, attempt, *name]).integers(2**31))


def category_change(before: str, after: str, sim_time_s: float) -> Cause:
    """The cause of a retraining that another category asks for."""
    return Cause(
        trigger="category_change",
        statistic="category_level",
        value=float(after.count("=")),
        threshold=float(before.count("=")),
        reference_n=0,
        sim_time_s=sim_time_s,
    )
