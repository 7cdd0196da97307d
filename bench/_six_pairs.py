"""Six CAV pairs: a conditioned policy against trying all 64 choices, in worth and in time.

Both know the true condition, so only the choosing is compared. Pairs are alike: every labelled
slot is learned from in several orders of its pairs. Twice the pairs share twice the bandwidth.
"""

from dataclasses import dataclass
from time import process_time

import numpy as np

from bench._conditioned import Choices, features, fresh, teach
from bench._hidden import INMF, LEVELS_HZ
from twintier.inmf.mobility import Presence
from twintier.inmf.perception.baselines import enumerate_modes
from twintier.inmf.perception.condition import draw_conditions, stack
from twintier.inmf.perception.emulator import EmulatorParameters, draw_trace
from twintier.inmf.perception.live import all_modes, outcome
from twintier.inmf.perception.physics import Physics, physics_of
from twintier.inmf.spec import Array, Mask, Observation
from twintier.learning.aggregate import Adam
from twintier.learning.network import Layers, forward, layers_of
from twintier.learning.policy import Vector

PAIRS = 6
CHOICES = all_modes(PAIRS)
CODES = 1 << np.arange(PAIRS)
SIZES = (1 + 5 * PAIRS, 128, 128, len(CHOICES))
ITERATIONS, TASKS, ORDERS = 300, 16, 8
LEARNING_RATE = 4e-3
EVALUATION_TASKS = 100
DECISIONS = 300
ALL_THERE = EmulatorParameters(0.0, presence=(Presence(),) * PAIRS)


@dataclass(frozen=True, slots=True)
class Slots:
    """Slots of one episode of each of several tasks, (tasks, slots, ...), and their physics."""

    physics: Physics
    """(tasks, 1)."""
    bandwidth_hz: Array
    objects: Array
    distance_m: Array

    @classmethod
    def draw(cls, tasks: int, rng: np.random.Generator) -> "Slots":
        """Tasks of the prior, with twice the bandwidth of three pairs."""
        means_hz = 2.0 * rng.choice(LEVELS_HZ, size=tasks)
        trace = draw_trace(ALL_THERE, tasks, INMF.slots, rng)
        noise_hz = rng.normal(0.0, ALL_THERE.bandwidth_sd_hz, trace.bandwidth_hz.shape)
        return cls(
            physics_of(stack(draw_conditions(tasks, rng))[:, None]),
            np.maximum(means_hz[:, None] + noise_hz, 0.0),
            trace.objects,
            trace.distance_m,
        )

    def best(self, modes_before: Mask) -> Mask:
        """The best modes of every slot by itself, (tasks, slots, pairs)."""
        return enumerate_modes(
            self.physics,
            self.bandwidth_hz,
            self.objects,
            self.distance_m,
            np.ones(self.objects.shape, bool),
            modes_before=modes_before,
        )

    def seen(self, modes_before: Mask) -> Observation:
        """Features of all slots, (tasks, slots, inputs)."""
        return features(
            self.physics, self.bandwidth_hz, self.objects, self.distance_m, modes_before
        )

    def at(self, slot: int) -> "Slots":
        """One slot of all tasks, (tasks, 1, ...)."""
        here = slice(slot, slot + 1)
        return Slots(
            self.physics,
            self.bandwidth_hz[:, here],
            self.objects[:, here],
            self.distance_m[:, here],
        )

    def reward_j(self, modes_before: Mask, modes: Mask) -> Array:
        """(tasks, slots)."""
        return outcome(
            self.physics,
            self.bandwidth_hz,
            self.objects,
            self.distance_m,
            np.ones(self.objects.shape, bool),
            modes_before=modes_before,
            modes=modes,
        ).reward_j


def reordered(seen: Observation, best: Mask, order: Choices) -> tuple[Observation, Choices]:
    """Rows (n, inputs) and codes (n,) of the same slots with the pairs in another order."""
    blocks = seen[:, 1:].reshape(len(seen), -1, PAIRS)[..., order]
    moved = np.concatenate([seen[:, :1], blocks.reshape(len(seen), -1)], axis=1)
    return moved, best[:, order] @ CODES


def train(rng: np.random.Generator, iterations: int = ITERATIONS) -> Vector:
    """One policy for all conditions; the rate falls to a twentieth."""
    flat, adam = fresh(SIZES, rng), Adam(LEARNING_RATE)
    for iteration in range(iterations):
        adam.learning_rate = LEARNING_RATE * (1.0 - 0.95 * iteration / iterations)
        slots = Slots.draw(TASKS, rng)
        modes_before = rng.random(slots.objects.shape) < 0.5
        best = slots.best(modes_before).reshape(-1, PAIRS)
        seen = slots.seen(modes_before).reshape(-1, SIZES[0])
        for _ in range(ORDERS):
            rows, codes = reordered(seen, best, rng.permutation(PAIRS))
            flat = adam.step(flat, teach(SIZES, flat, rows, codes))
    return flat


def chosen(layers: Layers, slots: Slots, modes_before: Mask) -> Mask:
    """The policy's modes, (tasks, slots, pairs)."""
    code = forward(layers, slots.seen(modes_before))[-1].argmax(axis=-1)
    modes: Mask = CHOICES[code]
    return modes


def worth_j(slots: Slots, layers: Layers | None) -> float:
    """Mean J a slot of playing the tasks: the policy's, or trying all modes without a policy."""
    before = np.zeros((len(slots.objects), 1, PAIRS), bool)
    total = []
    for number in range(INMF.slots):
        here = slots.at(number)
        modes = here.best(before) if layers is None else chosen(layers, here, before)
        total.append(here.reward_j(before, modes).mean())
        before = modes
    return float(np.mean(total))


def decision_us(slots: Slots, layers: Layers | None) -> float:
    """CPU time of one decision of one PLVN, features included."""
    before = np.zeros((1, 1, PAIRS), bool)
    start = process_time()
    for number in range(DECISIONS):
        here = slots.at(number % INMF.slots)
        before = here.best(before) if layers is None else chosen(layers, here, before)
    return 1e6 * (process_time() - start) / DECISIONS


def figures(rng: np.random.Generator, iterations: int = ITERATIONS) -> dict[str, float]:
    """Share of brute force, and microseconds of a decision of both."""
    layers = layers_of(SIZES, train(rng, iterations))
    slots, alone = Slots.draw(EVALUATION_TASKS, rng), Slots.draw(1, rng)
    return {
        "share_of_brute_force": worth_j(slots, layers) / worth_j(slots, None),
        "decision_us": decision_us(alone, layers),
        "brute_force_us": decision_us(alone, None),
    }
