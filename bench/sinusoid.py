"""`python -m bench sinusoid`: the regression on which MAML was published.

Amplitude U(0.1, 5), phase U(0, pi), inputs U(-5, 5), K labelled points, one inner step of 0.01, 25
tasks an iteration (Finn et al., arXiv 1703.03400, section 5.1). tanh takes the place of ReLU.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from twintier.inmf.spec import Mlp
from twintier.inmf.supervised import Labelled
from twintier.learning.aggregate import Adam
from twintier.learning.engines.numpy import OUTPUT_GAIN, MlpNetwork
from twintier.learning.engines.port import Array
from twintier.learning.meta import MetaSettings
from twintier.learning.supervised import regression_gradients, supervised_step

NETWORK = MlpNetwork(Mlp((40, 40)), 1, 1)
INNER_STEP = 0.01
TASKS = 25
REPORTED_STEPS = (1, 5, 10)
Algorithm = Literal["maml", "fomaml"]


@dataclass(frozen=True, slots=True)
class Sinusoids:
    """Tasks: each a sinusoid of its own amplitude and phase."""

    amplitude: Array
    phase: Array

    @classmethod
    def draw(cls, count: int, rng: np.random.Generator) -> "Sinusoids":
        """Draw tasks."""
        shape = (count, 1, 1)
        return cls(rng.uniform(0.1, 5.0, shape), rng.uniform(0.0, np.pi, shape))

    def label(self, rows: int, rng: np.random.Generator) -> Labelled:
        """Points of each task, (tasks, rows, 1) float32."""
        x = rng.uniform(-5.0, 5.0, (self.amplitude.shape[0], rows, 1))
        y = self.amplitude * np.sin(x - self.phase)
        return x.astype(np.float32), y.astype(np.float32)


def initial(rng: np.random.Generator) -> Array:
    """Parameters before meta training, (n,) float32."""
    flat = NETWORK.initial(rng)
    NETWORK.scale_outputs(flat, 1.0 / OUTPUT_GAIN)
    return flat


def train(algorithm: Algorithm, points: int, iterations: int, rng: np.random.Generator) -> Array:
    """Meta train on K = `points`; the rate of Adam falls linearly to a tenth."""
    settings = MetaSettings(algorithm, inner_steps=1, learn_step_sizes=False)
    flat = initial(rng)
    logarithms = np.full_like(flat, np.log(INNER_STEP))
    adam = Adam(2e-3)
    for iteration in range(iterations):
        adam.learning_rate = 2e-3 * (1.0 - 0.9 * iteration / iterations)
        tasks = Sinusoids.draw(TASKS, rng)
        rounds = [tasks.label(points, rng), tasks.label(points, rng)]
        gradients, _, _ = regression_gradients(NETWORK, flat, logarithms, rounds, settings)
        flat = adam.step(flat, gradients.mean(axis=0))
    return flat


def evaluate(
    flat: Array, points: int, rng: np.random.Generator, tasks: int = 600
) -> dict[str, float]:
    """Mean squared error after some gradient steps on K points of new tasks."""
    drawn = Sinusoids.draw(tasks, rng)
    shown, hidden = drawn.label(points, rng), drawn.label(100, rng)
    current = np.repeat(flat[None], tasks, axis=0)
    result = {}
    for step in range(1, max(REPORTED_STEPS) + 1):
        current = current - INNER_STEP * supervised_step(NETWORK, current, shown).gradient
        if step in REPORTED_STEPS:
            output = NETWORK.run(current, hidden[0]).outputs
            result[str(step)] = float(np.mean((output - hidden[1]) ** 2))
    return result


def run(iterations: int = 15_000, seed: int = 0) -> dict[str, dict[str, dict[str, float]]]:
    """Errors by algorithm, K and steps."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    algorithms: tuple[Algorithm, ...] = ("maml", "fomaml")
    for algorithm in algorithms:
        table[algorithm] = {}
        for points in (5, 10):
            rng = np.random.default_rng([seed, points])
            flat = train(algorithm, points, iterations, rng)
            table[algorithm][str(points)] = evaluate(flat, points, rng)
    return table
