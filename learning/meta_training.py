"""Meta training in one process: the iterations of Fig. 5(a) without a bus.

The case study, the benchmarks and tests train with this; the platform does the same over topics,
with the same gradients, the same averaging in PLVN-id order and the same outer step.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from twintier.learning.aggregate import MetaOptimizer, average_gradients
from twintier.learning.emulated import MakeBatches, adaptation_gradients
from twintier.learning.meta import MetaGradient, MetaSettings
from twintier.learning.policy import Policy, Vector


@dataclass(slots=True)
class MetaTraining:
    """A meta model under training."""

    policy: Policy
    settings: MetaSettings
    optimizer: MetaOptimizer
    parameters: Vector
    """(n,) float32 meta parameters (theta)."""
    log_step_sizes: Vector
    """(n,) float32 logarithms of the inner step sizes (alpha)."""

    @classmethod
    def start(
        cls,
        policy: Policy,
        parameters: Vector,
        settings: MetaSettings,
        optimizer: MetaOptimizer,
    ) -> "MetaTraining":
        """Training from these parameters, with the settings' initial step sizes."""
        logarithms = settings.initial_log_step_sizes(policy)
        return cls(policy, settings, optimizer, parameters, logarithms)

    def iterate(
        self, make_batches: MakeBatches, rngs: Mapping[str, np.random.Generator]
    ) -> dict[str, MetaGradient]:
        """One iteration: every twin's gradient, their mean, one outer step.

        Args:
            make_batches: draws the episodes of all twins, in the order of their ids.
            rngs: the generator of each twin, by PLVN id.

        Returns:
            What each twin contributed.

        Raises:
            NumericsError: if a gradient is not finite; the meta model stays as it was.
        """
        ids = sorted(rngs)
        results = adaptation_gradients(
            self.policy,
            self.parameters,
            self.log_step_sizes,
            make_batches,
            settings=self.settings,
            rngs=[rngs[plvn] for plvn in ids],
        )
        rows = dict(zip(ids, results, strict=True))
        self.apply(
            {plvn: row.gradient for plvn, row in rows.items()},
            {plvn: row.step_size_gradient for plvn, row in rows.items()},
        )
        return rows

    def apply(self, gradients: Mapping[str, Vector], by_step_size: Mapping[str, Vector]) -> None:
        """The outer step alone, from rows by PLVN id, wherever they were computed.

        Raises:
            NumericsError: if a mean is not finite; the meta model stays as it was.
        """
        self.parameters, self.log_step_sizes = self.optimizer.step(
            self.parameters,
            self.log_step_sizes,
            average_gradients(gradients)[0],
            average_gradients(by_step_size)[0],
        )
