"""Second-order MAML (Finn et al., arXiv 1703.03400): the platform's default."""

import numpy as np

from twintier.learning.meta import (
    MetaGradient,
    MetaSettings,
    Rounds,
    backpropagate,
    contributions,
    walk,
)
from twintier.learning.policy import Vector


class Maml:
    """The adaptation loss after the inner steps, differentiated through them."""

    name = "maml"
    second_order = True

    def check(self, settings: MetaSettings) -> None:
        """All settings fit."""

    def gradients(
        self, rounds: Rounds, parameters: Vector, log_step_sizes: Vector, settings: MetaSettings
    ) -> list[MetaGradient]:
        """As the protocol has it; without inner steps the plain policy gradient."""
        step_sizes = np.exp(log_step_sizes)
        way = walk(rounds, parameters, step_sizes, settings)
        last = rounds.outer(way.end)
        gradient, by_step_size = backpropagate(
            way.steps,
            way.judged | {len(way.steps): last.gradient},
            step_sizes,
            settings,
            second_order=self.second_order,
        )
        return contributions([*way.steps, last], gradient, by_step_size)
