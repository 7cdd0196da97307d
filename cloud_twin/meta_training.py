"""Meta training of one category, the cloud side of Fig. 5(a), as a state machine without I/O.

A training runs iteration by iteration. In each, sampled twins get the meta model and return rows of
gradients; a row counts once by (job, iteration, PLVN); rows of another iteration are late and do
nothing. An iteration ends when every sampled twin has answered or at its deadline.
"""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from twintier.cloud_twin.round_states import TRAINING_ROUND, RoundEvent, RoundState
from twintier.cloud_twin.settings import CloudSettings
from twintier.learning.aggregate import MetaOptimizer
from twintier.learning.aggregators.registry import aggregator_of
from twintier.learning.errors import LearningError
from twintier.protocol.ids import CategoryKey, InmfId, ModelId, PlvnId
from twintier.protocol.messages import GradientRow, GradientsComputed, MetaTrainingSettings
from twintier.protocol.tensors import model_id

Vector = npt.NDArray[np.float32]
RowOutcome = Literal["counted", "duplicate", "late", "unasked", "not_owner", "malformed"]

CONVERGENCE_WINDOW = 30
CONVERGENCE_GAIN = 0.002


@dataclass(frozen=True, slots=True)
class MetaParameters:
    """A meta model: where adaptation starts, its learned inner step sizes, and what acts before."""

    init: Vector
    """Meta learned; adaptation starts here."""
    log_step_sizes: Vector
    prior: Vector | None = None
    """Trained on the mixture of the category's tasks; None where it is `init`."""

    def arrays(self) -> dict[str, Vector]:
        """By name, as they travel and are kept."""
        own = {} if self.prior is None else {"prior": self.prior}
        return {"init": self.init, "log_step_sizes": self.log_step_sizes, **own}

    def model_id(self, schema_id: str) -> ModelId:
        """Id over both vectors."""
        vectors = [self.init] if self.prior is None else [self.prior, self.init]
        return model_id(schema_id, np.concatenate(vectors))


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one twin has returned in an iteration."""

    gradient: Vector
    step_size_gradient: Vector
    prior_gradient: Vector | None
    row: GradientRow


@dataclass(slots=True)
class Training:
    """One category's meta model on its way."""

    job: str
    inmf: InmfId
    category: CategoryKey
    ancestor: CategoryKey
    """The category whose model it started from; itself when that is an update of its own."""
    model: MetaParameters
    optimizer: MetaOptimizer
    settings: CloudSettings
    iterations_planned: int
    first_stage: int
    """Iterations of learning from the emulator's answers, before meta training."""
    seed: int
    iteration: int = 0
    state: RoundState = RoundState.BETWEEN
    expected: frozenset[PlvnId] = frozenset()
    rows: dict[PlvnId, Contribution] = field(default_factory=dict)
    failed: dict[PlvnId, str] = field(default_factory=dict)
    empty_rounds: int = 0
    rewards: list[float] = field(default_factory=list)
    """Mean adaptation reward of each iteration's twins, J a slot."""

    def on(self, event: RoundEvent) -> None:
        """Something has happened."""
        self.state = TRAINING_ROUND.after(self.state, event)

    def sample(self, plvns: Sequence[PlvnId]) -> tuple[PlvnId, ...]:
        """Open an iteration: draw I PLVNs uniformly from the category's list."""
        rng = np.random.default_rng((self.seed, self.iteration, self.empty_rounds))
        ordered = sorted(plvns)
        count = min(self.settings.tasks, len(ordered))
        chosen = rng.choice(len(ordered), size=count, replace=False)
        sampled = tuple(ordered[i] for i in sorted(chosen))
        self.on(RoundEvent.SAMPLED)
        self.expected, self.rows, self.failed = frozenset(sampled), {}, {}
        return sampled

    def round_settings(self) -> MetaTrainingSettings:
        """What the twins are told for the present iteration."""
        first = self.iteration < self.first_stage
        return MetaTrainingSettings(
            algorithm="teacher" if first else self.settings.algorithm,
            inner_steps=0 if first else self.settings.inner_steps,
            episodes=self.settings.episodes,
            seed=round_seed(self.seed, self.iteration),
        )

    def add(
        self, message: GradientsComputed, owned: Collection[PlvnId] | None = None
    ) -> dict[RowOutcome, int]:
        """Count the rows of a message; what is wrong leaves its place to the right row.

        Args:
            message: rows of gradients.
            owned: twins whose owner has sent it; all where it is None.

        Returns:
            How many rows met which fate.
        """
        outcomes: dict[RowOutcome, int] = {}
        arrays = message.gradients.unpack()
        gradients, step_gradients = arrays.get("gradient"), arrays.get("step_size_gradient")
        priors = arrays.get("prior_gradient")
        rows = len(message.rows)
        if gradients is None or step_gradients is None:
            return {"malformed": rows}
        there = [gradients, step_gradients, *([] if priors is None else [priors])]
        if any(array.shape[:1] != (rows,) for array in there):
            return {"malformed": rows}
        for index, row in enumerate(message.rows):
            outcome = self._outcome(message.iteration, row.plvn)
            if outcome == "counted" and owned is not None and row.plvn not in owned:
                outcome = "not_owner"
            if outcome == "counted" and not self._fits([array[index] for array in there]):
                outcome = "malformed"
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            if outcome == "counted":
                self.rows[row.plvn] = Contribution(
                    np.asarray(gradients[index], np.float32),
                    np.asarray(step_gradients[index], np.float32),
                    None if priors is None else np.asarray(priors[index], np.float32),
                    row,
                )
        return outcomes

    def _fits(self, vectors: Sequence[npt.NDArray[np.floating]]) -> bool:
        shape = self.model.init.shape
        return all(v.shape == shape and bool(np.isfinite(v).all()) for v in vectors)

    def fail(self, iteration: int, plvns: Sequence[PlvnId], reason: str) -> None:
        """Note twins that cannot contribute to the iteration."""
        if iteration == self.iteration:
            self.failed.update({p: reason for p in plvns if p in self.expected})

    @property
    def is_open(self) -> bool:
        """Whether rows are counted."""
        return self.state is RoundState.OPEN

    def complete(self) -> bool:
        """Whether every sampled twin has answered."""
        return self.is_open and self.expected <= self.rows.keys() | self.failed.keys()

    def close(self) -> Mapping[PlvnId, str]:
        """End the iteration: one step along the mean gradient if there is any good row.

        Returns:
            The rows that were refused, with reasons.
        """
        refused: dict[PlvnId, str] = dict(self.failed)
        good, reasons = self._good_rows()
        refused.update(reasons)
        self.optimizer.learning_rate = self._learning_rate()
        if good and self._step(good):
            kept = [each.row.adaptation_reward for each in good.values()]
            self.rewards.append(float(np.mean(kept)))
            self.iteration, self.empty_rounds = self.iteration + 1, 0
            self._part_prior()
            self.on(RoundEvent.STEPPED)
        else:
            self.on(RoundEvent.EMPTY)
            self.empty_rounds += 1
        self.expected, self.rows, self.failed = frozenset(), {}, {}
        return refused

    def finished(self) -> bool:
        """Whether the planned iterations are done, or the adaptation reward has settled."""
        return self.iteration >= self.iterations_planned or self._converged()

    def first_and_last(self) -> tuple[float, float]:
        """Mean adaptation reward over the first and the last five iterations, J a slot."""
        if not self.rewards:
            return 0.0, 0.0
        return float(np.mean(self.rewards[:5])), float(np.mean(self.rewards[-5:]))

    def _outcome(self, iteration: int, plvn: PlvnId) -> RowOutcome:
        if iteration != self.iteration or not self.is_open:
            return "late"
        if plvn not in self.expected:
            return "unasked"
        return "duplicate" if plvn in self.rows else "counted"

    def _part_prior(self) -> None:
        """After the first stage the prior stays with the mixture, and init goes its own way."""
        if self.settings.train_prior and self.iteration == self.first_stage > 0:
            self.model = replace(self.model, prior=self.model.init)

    def _good_rows(self) -> tuple[dict[PlvnId, Contribution], dict[PlvnId, str]]:
        reasons: dict[PlvnId, str] = {}
        good = dict(self.rows)
        if good:
            _, outliers = self._combined({p: each.gradient for p, each in good.items()})
            reasons.update({PlvnId(p): reason for p, reason in outliers.items()})
        return {p: row for p, row in good.items() if p not in reasons}, reasons

    def _step(self, good: Mapping[PlvnId, Contribution]) -> bool:
        mean, _ = self._combined({p: each.gradient for p, each in good.items()})
        step_mean, _ = self._combined({p: each.step_size_gradient for p, each in good.items()})
        priors: dict[str, Vector] = {
            p: each.prior_gradient for p, each in good.items() if each.prior_gradient is not None
        }
        try:
            init, log_step_sizes = self.optimizer.step(
                self.model.init, self.model.log_step_sizes, mean, step_mean
            )
            prior = self.model.prior
            if prior is not None and priors:
                prior = self.optimizer.step_prior(prior, self._combined(priors)[0])
        except LearningError:
            return False
        self.model = MetaParameters(init, log_step_sizes, prior)
        return True

    def _combined(self, rows: Mapping[str, Vector]) -> tuple[Vector, dict[str, str]]:
        """The outer direction of rows by PLVN, and why some were refused."""
        return aggregator_of(self.settings.aggregator).combine(rows)

    def _learning_rate(self) -> float:
        """Of the present stage; the first one's falls to a fifth on its way."""
        if self.iteration >= self.first_stage:
            return self.settings.learning_rate
        done = self.iteration / self.first_stage
        return self.settings.first_stage_learning_rate * (1.0 - 0.8 * done)

    def _converged(self) -> bool:
        window = CONVERGENCE_WINDOW
        meta_iterations = self.iteration - self.first_stage
        if meta_iterations < max(2 * window, self.settings.min_iterations):
            return False
        recent = deque(self.rewards, maxlen=2 * window)
        before = float(np.mean(list(recent)[:window]))
        after = float(np.mean(list(recent)[window:]))
        return after - before <= CONVERGENCE_GAIN * abs(before)


def training_seed(seed: int, number: int) -> int:
    """Seed of the training that a cloud twin has opened as its first, second, ..."""
    return seed * 1_009 + number


def round_seed(seed: int, iteration: int) -> int:
    """Seed of an iteration of a training with this seed; twins make their own of it."""
    return seed * 1_000_003 + iteration
