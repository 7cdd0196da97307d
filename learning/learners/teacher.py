"""The model-assisted first stage as a learner: from the emulator's answers, without adaptation."""

from twintier.learning.meta import MetaGradient, MetaSettings, Rounds
from twintier.learning.policy import Vector


class Teacher:
    """The gradient of `learning.teacher` at the meta parameters."""

    name = "teacher"

    def check(self, settings: MetaSettings) -> None:
        """All settings fit: there are no inner steps."""

    def gradients(
        self, rounds: Rounds, parameters: Vector, log_step_sizes: Vector, settings: MetaSettings
    ) -> list[MetaGradient]:
        """As the protocol has it; step sizes have no gradient."""
        del log_step_sizes, settings
        return rounds.taught(parameters)
