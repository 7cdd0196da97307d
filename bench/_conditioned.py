"""Policies that see the calibrated condition: features instead of adaptation.

The observation holds, of each pair, the share of the bandwidth that it needs in the believed
condition and what it would gain, beside the switching cost. One network, trained over the whole
prior with the emulator's answers to all actions as labels, then serves every condition without a
gradient step. Strict shares are over the better of expert and enumeration with true parameters.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt

from bench._hidden import DAY, INMF, Task, batches, draw_tasks
from twintier.inmf.episodes import Memory
from twintier.inmf.evaluate import mean_reward
from twintier.inmf.perception.baselines import enumerate_live
from twintier.inmf.perception.calibration import calibrate
from twintier.inmf.perception.condition import Condition, stack
from twintier.inmf.perception.emulator import REWARD_NOISE_J
from twintier.inmf.perception.live import MODES_BEFORE, PAIRS, LiveEpisodes, all_modes, before
from twintier.inmf.perception.physics import RATE_CAP, Physics, gain_at, pair_terms, physics_of
from twintier.inmf.spec import Array, InmfSpec, Mask, Observation
from twintier.inmf.trajectory import Trace, Trajectories
from twintier.learning.aggregate import Adam
from twintier.learning.network import backward, forward, layers_of, parameter_count
from twintier.learning.policy import Vector

SEEN = replace(INMF, observation_dim=1 + 5 * PAIRS)
CHOICES = all_modes(PAIRS)
Choices = npt.NDArray[np.int64]
SIZES = (SEEN.observation_dim, 64, 64, len(CHOICES))
LARGEST_NEED = 3.0
ITERATIONS, TASKS, EPISODES = 700, 20, 2
LEARNING_RATE = 1e-2


def features(
    believed: Physics,
    bandwidth_hz: Array,
    objects: Array,
    distance_m: Array,
    modes_before: Array | Mask,
) -> Observation:
    """What a policy sees of slots in a believed condition, (..., 1 + 5 pairs) float32.

    Beside the switching cost stand, of each pair, the shares of the bandwidth that it needs at
    least and can use, its gain at two rates, and its mode before.

    Args:
        believed: physics that broadcasts over (...).
        bandwidth_hz: (...).
        objects: (..., pairs).
        distance_m: (..., pairs).
        modes_before: (..., pairs).
    """
    terms = pair_terms(believed, objects, distance_m)
    all_hz = np.maximum(np.asarray(bandwidth_hz)[..., None], 1.0)
    cost = np.broadcast_to(believed.switching_cost_j, np.shape(bandwidth_hz))
    parts = (
        cost[..., None],
        np.minimum(terms.least_hz / all_hz, LARGEST_NEED),
        np.minimum(RATE_CAP * terms.hertz_per_u / all_hz, LARGEST_NEED),
        gain_at(terms, np.full(objects.shape, 2.0)),
        gain_at(terms, np.full(objects.shape, RATE_CAP)),
        modes_before,
    )
    return np.concatenate(parts, axis=-1, dtype=np.float32)


class ConditionedEpisodes(LiveEpisodes):
    """Live episodes, observed through what is believed of their conditions."""

    spec: InmfSpec = SEEN

    def __init__(
        self,
        trace: Trace,
        conditions: Condition | Sequence[Condition],
        believed: Condition | Sequence[Condition] | None = None,
    ) -> None:
        """As `LiveEpisodes`; `believed` is the truth where it is None."""
        super().__init__(trace, conditions)
        shown = conditions if believed is None else believed
        listed = [shown] if isinstance(shown, Condition) else list(shown)
        self._believed = physics_of(stack(listed)[:, None])

    @cached_property
    def _still(self) -> Observation:
        trace = self.trace
        nobody = np.zeros(trace.objects.shape)
        return features(self._believed, trace.bandwidth_hz, trace.objects, trace.distance_m, nobody)

    def observe(self, slot: int, memory: Memory) -> Observation:
        """Observation of one slot, (episodes, 16)."""
        seen = self._still[:, slot].copy()
        seen[:, -PAIRS:] = memory[MODES_BEFORE]
        return seen

    def observe_after(self, modes_before: Mask) -> Observation:
        """Observations (episodes, slots, 16) after any modes (episodes, slots, pairs)."""
        seen = self._still.copy()
        seen[..., -PAIRS:] = modes_before
        return seen


def train(rng: np.random.Generator) -> Vector:
    """One policy for all conditions; the rate falls to a twentieth.

    The label of a slot is the choice of modes that earns most; modes before are drawn at random,
    so no rollout is needed and every slot stands for itself.
    """
    flat = fresh(SIZES, rng)
    adam = Adam(LEARNING_RATE)
    for iteration in range(ITERATIONS):
        adam.learning_rate = LEARNING_RATE * (1.0 - 0.95 * iteration / ITERATIONS)
        drawn = batches(draw_tasks(TASKS, rng), EPISODES)([rng])
        conditions = [Condition.from_array(row) for row in drawn.conditions]
        flat = adam.step(flat, _gradient(flat, ConditionedEpisodes(drawn.trace, conditions), rng))
    return flat


def _gradient(flat: Vector, batch: ConditionedEpisodes, rng: np.random.Generator) -> Vector:
    modes_before = rng.random((batch.episodes, SEEN.slots, PAIRS)) < 0.5
    worth = [
        batch.outcome(modes_before, np.broadcast_to(choice, modes_before.shape)).reward_j
        for choice in CHOICES
    ]
    seen = batch.observe_after(modes_before).reshape(-1, SEEN.observation_dim)
    return teach(SIZES, flat, seen, np.argmax(worth, axis=0).reshape(-1))


def teach(sizes: tuple[int, ...], flat: Vector, seen: Observation, best: Choices) -> Vector:
    """Gradient of the cross-entropy between the choices' softmax and the best choice, (n,).

    Args:
        sizes: of the network; one output for each choice.
        flat: (n,) its parameters.
        seen: (rows, inputs).
        best: (rows,) index of the best choice.
    """
    layers = layers_of(sizes, flat)
    activations = forward(layers, seen)
    logits = activations[-1] - activations[-1].max(axis=-1, keepdims=True)
    error = np.exp(logits)
    error /= error.sum(axis=-1, keepdims=True)
    error[np.arange(best.size), best] -= 1.0
    gradient = np.empty_like(flat)
    backward(layers, activations, error / np.float32(best.size), layers_of(sizes, gradient))
    return gradient


def fresh(sizes: tuple[int, ...], rng: np.random.Generator) -> Vector:
    """Parameters before training: fan-in scaled weights, zero biases, (n,) float32."""
    flat = np.zeros(parameter_count(sizes), np.float32)
    for weights, _ in layers_of(sizes, flat):
        weights[...] = rng.normal(0.0, weights.shape[0] ** -0.5, weights.shape)
    return flat


def play(flat: Vector, batch: ConditionedEpisodes) -> Mask:
    """The choice of highest logit in every slot, (episodes, slots, pairs)."""
    layers = layers_of(SIZES, flat)
    modes = np.zeros((batch.episodes, SEEN.slots, PAIRS), np.bool_)
    last = modes[:, 0]
    for slot in range(SEEN.slots):
        last = CHOICES[
            forward(layers, batch.observe(slot, {MODES_BEFORE: last}))[-1].argmax(axis=-1)
        ]
        modes[:, slot] = last
    return modes


def inferred(flat: Vector, task: Task, episodes: int, rng: np.random.Generator) -> Condition:
    """What calibration makes of some episodes that the policy played believing in expert values."""
    trace = task.trace(episodes, rng)
    batch = ConditionedEpisodes(trace, task.condition, Condition())
    modes = play(flat, batch)
    reward = batch.rewards(modes)
    reward += rng.normal(0.0, REWARD_NOISE_J, reward.shape)
    per_pair = (1, -1, PAIRS)
    joined = Trace(
        trace.bandwidth_hz.reshape(1, -1),
        trace.objects.reshape(per_pair),
        trace.distance_m.reshape(per_pair),
        trace.present.reshape(per_pair),
    )
    played = Trajectories(
        joined,
        before(modes).reshape(per_pair),
        modes.reshape(per_pair),
        reward.reshape(1, -1),
    )
    return Condition.from_array(calibrate(played, (), rng).best)


def strict_share(
    flat: Vector,
    oracle: Mapping[str, float],
    traces: Mapping[str, Trace],
    believed: Callable[[Task], Condition],
) -> float:
    """Mean over the conditions of greedy reward over the strict oracle's."""
    shares = []
    for name, task in DAY.items():
        batch = ConditionedEpisodes(traces[name], task.condition, believed(task))
        shares.append(mean_reward(batch, play(flat, batch)) / oracle[name])
    return float(np.mean(shares))


def strict_oracle(traces: Mapping[str, Trace], experts_j: Mapping[str, float]) -> dict[str, float]:
    """J a slot of each condition: the better of its expert and enumeration with the truth."""
    return {
        name: max(experts_j[name], enumerated(traces[name], task)) for name, task in DAY.items()
    }


def figures(
    traces: Mapping[str, Trace], oracle: Mapping[str, float], rng: np.random.Generator
) -> dict[str, float]:
    """Shares with true parameters, and with those inferred from 1 and from 10 episodes."""
    flat = train(rng)
    result = {"strict_true": strict_share(flat, oracle, traces, lambda task: task.condition)}
    for count in (1, 10):
        believed = partial(inferred, flat, episodes=count, rng=rng)
        result[f"strict_inferred_{count}"] = strict_share(flat, oracle, traces, believed)
    return result


def enumerated(trace: Trace, task: Task) -> float:
    """J a slot of trying all modes with the true condition."""
    batch = LiveEpisodes(trace, task.condition)
    return mean_reward(batch, enumerate_live(batch, task.condition))
