"""Reptile (Nichol et al., arXiv 1803.02999): towards adapted parameters, no last round."""

import numpy as np

from twintier.learning.errors import SettingsError
from twintier.learning.meta import MetaGradient, MetaSettings, Rounds, contributions, walk
from twintier.learning.policy import Vector


class Reptile:
    """From where the inner steps led back to the start, over the mean step size."""

    name = "reptile"

    def check(self, settings: MetaSettings) -> None:
        """At least one inner step, and all parameters adapt.

        Raises:
            SettingsError: if not.
        """
        if not settings.inner_steps:
            raise SettingsError("reptile needs inner_steps of at least 1")
        if settings.adapted == "head":
            raise SettingsError("reptile leaves the body where it was if only the head adapts")

    def gradients(
        self, rounds: Rounds, parameters: Vector, log_step_sizes: Vector, settings: MetaSettings
    ) -> list[MetaGradient]:
        """As the protocol has it; step sizes are not learned."""
        way = walk(rounds, parameters, np.exp(log_step_sizes), settings)
        gradient = (parameters - way.end) / np.exp(log_step_sizes.mean())
        return contributions(way.steps, gradient, np.zeros_like(gradient))
