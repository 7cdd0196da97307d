"""What may go wrong in learning.

LearningError
|-- NumericsError        a loss, gradient or parameter is not finite: nothing of the step is kept
|-- GraphError           a meta gradient was asked for, but the inner step left no graph behind
`-- SettingsError        settings that contradict one another or the shapes they are used with
"""


class LearningError(Exception):
    """Root of this package's errors."""


class NumericsError(LearningError):
    """A number is not finite; the last good parameters stand."""


class GraphError(LearningError):
    """The inner step was computed without keeping its graph."""


class SettingsError(LearningError):
    """Settings contradict one another or the shapes they are used with."""
