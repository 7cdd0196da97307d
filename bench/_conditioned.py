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

from bench._hidden import DAY, INMF, Task, batches, draw_tasks
from edge_twin.calibration import calibrate
from inmf.baselines import all_modes, enumerate_live
from inmf.condition import Condition, stack
from inmf.emulator import REWARD_NOISE_J
from inmf.evaluate import before, mean_reward_j
from inmf.live import PAIRS, LiveEpisodes
from inmf.perception import RATE_CAP, gain_at, pair_terms, physics_of
from inmf.spec import InmfSpec, Observation
from inmf.trajectory import Mask, Trace, Trajectories
from learning.aggregate import Adam
from learning.network import backward, forward, layers_of, parameter_count
from learning.policy import Vector

SEEN = replace(INMF, observation_dim=1 + 6 * PAIRS)
CHOICES = all_modes(PAIRS)
SIZES = (SEEN.observation_dim, 64, 64, len(CHOICES))
LARGEST_NEED = 3.0
ITERATIONS, TASKS, EPISODES = 700, 20, 2
LEARNING_RATE = 1e-2


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
        trace, physics = self.trace, self._believed
        terms = pair_terms(physics, trace.objects, trace.distance_m)
        share_hz = np.maximum(trace.bandwidth_hz[..., None], 1.0)
        cost = np.broadcast_to(physics.switching_cost_j, trace.bandwidth_hz.shape)
        parts = (
            cost[..., None],
            np.minimum(terms.least_hz / share_hz, LARGEST_NEED),
            np.minimum(RATE_CAP * terms.hertz_per_u / share_hz, LARGEST_NEED),
            gain_at(terms, np.full(trace.objects.shape, 2.0)),
            gain_at(terms, np.full(trace.objects.shape, RATE_CAP)),
            np.zeros(trace.objects.shape),
            trace.present,
        )
        return np.concatenate(parts, axis=-1, dtype=np.float32)

    def observe(self, slot: int, modes_before: Mask) -> Observation:
        """Observation of one slot, (episodes, 19)."""
        seen = self._still[:, slot].copy()
        seen[:, -2 * PAIRS : -PAIRS] = modes_before
        return seen

    def observe_all(self, modes_before: Mask) -> Observation:
        """Observations of all slots, (episodes, slots, 19)."""
        seen = self._still.copy()
        seen[..., -2 * PAIRS : -PAIRS] = modes_before
        return seen


def train(rng: np.random.Generator) -> Vector:
    """One policy for all conditions; the rate falls to a twentieth.

    The label of a slot is the choice of modes that earns most; modes before are drawn at random,
    so no rollout is needed and every slot stands for itself.
    """
    flat = np.zeros(parameter_count(SIZES), np.float32)
    for weights, _ in layers_of(SIZES, flat):
        weights[...] = rng.normal(0.0, weights.shape[0] ** -0.5, weights.shape)
    adam = Adam(LEARNING_RATE)
    for iteration in range(ITERATIONS):
        adam.learning_rate = LEARNING_RATE * (1.0 - 0.95 * iteration / ITERATIONS)
        drawn = batches(draw_tasks(TASKS, rng), EPISODES)([rng])
        conditions = [Condition.from_array(row) for row in drawn.conditions]
        flat = adam.step(flat, _gradient(flat, ConditionedEpisodes(drawn.trace, conditions), rng))
    return flat


def _gradient(flat: Vector, batch: ConditionedEpisodes, rng: np.random.Generator) -> Vector:
    """Gradient of the cross-entropy between the choices' softmax and the best choice, (n,)."""
    modes_before = rng.random((batch.episodes, SEEN.slots, PAIRS)) < 0.5
    worth = np.stack(
        [
            batch.rewards(modes_before, np.broadcast_to(choice, modes_before.shape))
            for choice in CHOICES
        ],
        axis=-1,
    ).reshape(-1, len(CHOICES))
    layers = layers_of(SIZES, flat)
    seen = batch.observe_all(modes_before).reshape(-1, SEEN.observation_dim)
    activations = forward(layers, seen)
    logits = activations[-1] - activations[-1].max(axis=-1, keepdims=True)
    probability = np.exp(logits)
    probability /= probability.sum(axis=-1, keepdims=True)
    label = np.zeros_like(probability)
    label[np.arange(len(worth)), worth.argmax(axis=-1)] = 1.0
    gradient = np.empty_like(flat)
    error = ((probability - label) / len(worth)).astype(np.float32)
    backward(layers, activations, error, layers_of(SIZES, gradient))
    return gradient


def play(flat: Vector, batch: ConditionedEpisodes) -> Mask:
    """The choice of highest logit in every slot, (episodes, slots, pairs)."""
    layers = layers_of(SIZES, flat)
    modes = np.zeros((batch.episodes, SEEN.slots, PAIRS), np.bool_)
    last = modes[:, 0]
    for slot in range(SEEN.slots):
        last = CHOICES[forward(layers, batch.observe(slot, last))[-1].argmax(axis=-1)]
        modes[:, slot] = last
    return modes


def inferred(flat: Vector, task: Task, episodes: int, rng: np.random.Generator) -> Condition:
    """What calibration makes of some episodes that the policy played believing in expert values."""
    trace = task.trace(episodes, rng)
    batch = ConditionedEpisodes(trace, task.condition, Condition())
    modes = play(flat, batch)
    reward = batch.rewards(before(modes), modes)
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
    return calibrate(played, (), rng).condition


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
        shares.append(mean_reward_j(batch, play(flat, batch)) / oracle[name])
    return float(np.mean(shares))


def figures(
    traces: Mapping[str, Trace], experts_j: Mapping[str, float], rng: np.random.Generator
) -> dict[str, float]:
    """Shares with true parameters, and with those inferred from 1 and from 10 episodes."""
    oracle = {
        name: max(experts_j[name], _enumerated(traces[name], task)) for name, task in DAY.items()
    }
    flat = train(rng)
    result = {"strict_true": strict_share(flat, oracle, traces, lambda task: task.condition)}
    for count in (1, 10):
        believed = partial(inferred, flat, episodes=count, rng=rng)
        result[f"strict_inferred_{count}"] = strict_share(flat, oracle, traces, believed)
    return result


def _enumerated(trace: Trace, task: Task) -> float:
    batch = LiveEpisodes(trace, task.condition)
    return mean_reward_j(batch, enumerate_live(batch, task.condition))
