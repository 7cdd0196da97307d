"""Long work of an exchange for an INMF that learns from labelled data instead of rewards."""

from dataclasses import dataclass

import numpy as np

from twintier.edge_twin.jobs import AdaptationResult, Start, policy_of
from twintier.inmf.contract import Columns
from twintier.inmf.registry import inmf_of
from twintier.inmf.supervised import Labelled, SupervisedInmf
from twintier.learning.aggregate import Adam
from twintier.learning.errors import SettingsError
from twintier.learning.policy import Vector
from twintier.learning.supervised import LEAST_ROWS, SupervisedStep, supervised_step
from twintier.protocol.ids import InmfId


@dataclass(frozen=True, slots=True)
class LabelledJob:
    """Gradient steps on the older half of the rows; the newer half says what they are worth."""

    inmf: InmfId
    start: Start
    origin: Start | None
    true: Columns
    rule_reward: float | None
    """What the baseline has lately earned here."""
    steps: int
    learning_rate: float

    def run(self) -> AdaptationResult:
        """Adapt, unless that makes the newer rows worse.

        Raises:
            SettingsError: if there are too few rows.
        """
        known = inmf_of(self.inmf)
        assert isinstance(known, SupervisedInmf), "others have no labelled rows"
        inputs, targets = known.samples(self.true)
        if len(inputs) < LEAST_ROWS:
            raise SettingsError(f"{len(inputs)} labelled rows; wait for {LEAST_ROWS} or more")
        middle = len(inputs) // 2
        shown, held_out = (
            (inputs[None, part], targets[None, part])
            for part in (slice(middle), slice(middle, None))
        )
        start = self.start.parameters
        adapted, adam = start, Adam(self.learning_rate)
        for _ in range(self.steps):
            step = self._step(known, adapted, shown)
            adapted = np.asarray(adam.step(adapted, step.gradient[0]), np.float32)
        before, after = (
            float(self._step(known, each, held_out).reward[0]) for each in (start, adapted)
        )
        return AdaptationResult(
            parameters=adapted if after > before else start,
            origin=self.origin or self.start,
            emulator=None,
            posterior=None,
            evidence="measured",
            reward_before=before,
            reward_after=max(before, after),
            baseline_reward=self.rule_reward,
            bound_reward=None,
            updates=self.steps,
            true_slots=middle,
            synthetic_slots=0,
        )

    def _step(self, inmf: SupervisedInmf, parameters: Vector, data: Labelled) -> SupervisedStep:
        return supervised_step(policy_of(self.inmf).network, parameters[None], data, inmf.loss)
