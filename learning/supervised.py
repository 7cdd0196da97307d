"""Meta learning from labelled data: the mathematics of `learning.meta` with a supervised loss.

Some INMFs are learned from labelled data, not from rewards (a predictor, say). Inner steps and the
outer gradient are the same; only the loss is another one, the INMF's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twintier.inmf.contract import Columns
from twintier.inmf.supervised import Labelled, Loss, SquaredError, SupervisedInmf
from twintier.learning.engines.port import Array, Network, Pass
from twintier.learning.errors import NumericsError, SettingsError
from twintier.learning.learners.registry import learner_of
from twintier.learning.meta import InnerStep, MetaGradient, MetaSettings, backpropagate
from twintier.learning.policy import Policy, Vector
from twintier.learning.surrogate import Surrogate

LEAST_ROWS = 2
"""One row to adapt to and one to be judged by."""
SQUARED_ERROR = SquaredError()


@dataclass(frozen=True, slots=True)
class SupervisedStep:
    """The loss of each task on one set of labelled data, ready to be differentiated."""

    forward: Pass
    targets: Array
    """(tasks, rows, out)."""
    measure: Loss
    gradient: Array
    """(tasks, n)."""

    @property
    def loss(self) -> Array:
        """(tasks,)."""
        return self.measure.value(self.forward.outputs, self.targets)

    @property
    def reward(self) -> Array:
        """(tasks,) minus the loss."""
        return -self.loss

    @property
    def slots(self) -> int:
        """Rows of the data."""
        return int(self.targets.shape[-2])

    def hessian_vector(self, vector: Array, _kind: Surrogate = "ratio") -> Array:
        """Product of the loss's Hessian by `vector`, (tasks, n)."""
        direction = self.forward.tangent(vector)
        outputs, product = self.forward.outputs, np.zeros_like(vector)
        slope = self.measure.gradient(outputs, self.targets)
        moved = self.measure.moved(outputs, self.targets, direction)
        self.forward.write_product(vector, slope, moved, product)
        return product


def supervised_step(
    network: Network, parameters: Array, data: Labelled, loss: Loss = SQUARED_ERROR
) -> SupervisedStep:
    """Differentiate a loss.

    Args:
        network: its outputs are held to the targets.
        parameters: (tasks, n or more) flat vectors; numbers behind the network's do not matter.
        data: labelled data of each task.
        loss: the mean squared error, or another one.
    """
    inputs, targets = data
    forward = network.run(parameters, inputs)
    gradient = np.zeros_like(parameters)
    forward.write_gradient(loss.gradient(forward.outputs, targets), gradient)
    return SupervisedStep(forward, targets, loss, gradient)


@dataclass(frozen=True, slots=True)
class SupervisedRounds:
    """Adapts to older rows of one twin and is judged by newer ones; see `meta.Rounds`."""

    network: Network
    loss: Loss
    shown: Labelled
    """(1, rows, ...) of every inner step."""
    held_out: Labelled
    """(1, rows, ...) of the adaptation loss."""

    @property
    def twins(self) -> int:
        """One."""
        return 1

    def inner(self, parameters: Array) -> SupervisedStep:
        """A step on the older rows."""
        return supervised_step(self.network, parameters, self.shown, self.loss)

    def judged(self, step: InnerStep, parameters: Array) -> Array:
        """The gradient on the newer rows."""
        del step
        return self.outer(parameters).gradient

    def outer(self, parameters: Array) -> SupervisedStep:
        """The loss on the newer rows."""
        return supervised_step(self.network, parameters, self.held_out, self.loss)

    def taught(self, parameters: Vector) -> list[MetaGradient]:
        """Nothing.

        Raises:
            SettingsError: always.
        """
        raise SettingsError("labelled data have no teacher; choose another learner")


def supervised_gradient(
    inmf: SupervisedInmf,
    policy: Policy,
    parameters: Vector,
    log_step_sizes: Vector,
    true: Columns,
    *,
    settings: MetaSettings,
) -> MetaGradient:
    """The gradient of one twin's adaptation loss by the meta model of a supervised INMF.

    Args:
        inmf: makes labelled rows of slots, and says what is wrong with outputs.
        policy: of the INMF's spec; the head's own numbers are carried along and stay.
        parameters: (n,) float32 meta parameters.
        log_step_sizes: (n,) float32 logarithms of the inner step sizes (alpha).
        true: slots of the twin, in order of time; the newer half of their rows is held out.
        settings: algorithm and inner steps.

    Raises:
        NumericsError: if a loss or gradient is not finite.
        SettingsError: if there are too few rows, or the algorithm is not installed.
    """
    learner = learner_of(settings.algorithm)
    learner.check(settings)
    inputs, targets = inmf.samples(true)
    if len(inputs) < LEAST_ROWS:
        raise SettingsError(f"{len(inputs)} labelled rows; wait for {LEAST_ROWS} or more")
    middle = len(inputs) // 2
    rounds = SupervisedRounds(
        policy.network,
        inmf.loss,
        (inputs[None, :middle], targets[None, :middle]),
        (inputs[None, middle:], targets[None, middle:]),
    )
    return learner.gradients(rounds, parameters, log_step_sizes, settings)[0]


def regression_gradients(
    network: Network,
    parameters: Array,
    log_step_sizes: Array,
    rounds: Sequence[Labelled],
    settings: MetaSettings,
) -> tuple[Array, Array, Array]:
    """Gradients of each task's squared error after adaptation, by the meta parameters.

    Args:
        network: its outputs are the regression's.
        parameters: (n,) meta parameters.
        log_step_sizes: (n,) logarithms of the inner step sizes.
        rounds: data of each inner step, then those of the adaptation loss.
        settings: `maml` or first order, and whether step sizes are learned.

    Returns:
        (tasks, n) by the parameters, (tasks, n) by the logarithms, (tasks,) adaptation loss.

    Raises:
        NumericsError: if a gradient is not finite.
    """
    step_sizes = np.exp(log_step_sizes)
    current = np.repeat(parameters[None], rounds[0][0].shape[0], axis=0)
    steps: list[SupervisedStep] = []
    outer: dict[int, Array] = {}
    for taken, data in enumerate(rounds[:-1]):
        if settings.judged == "every" and taken:
            outer[taken] = supervised_step(network, current, rounds[-1]).gradient
        steps.append(supervised_step(network, current, data))
        current = current - step_sizes * steps[-1].gradient
    last = supervised_step(network, current, rounds[-1])
    outer[len(steps)] = last.gradient
    second_order = settings.algorithm == "maml"
    gradient, by_step_size = backpropagate(
        steps, outer, step_sizes, settings, second_order=second_order
    )
    if not np.isfinite(gradient).all():
        raise NumericsError("an adaptation gradient is not finite; lower the step sizes")
    return gradient, by_step_size, last.loss
