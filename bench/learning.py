"""`python -m bench learning`: CPU time of the learning core, beside Stable-Baselines3.

One setting for all arms: task 1 of the case study, 10 episodes of 75 slots an epoch, 10 passes of
minibatches of 75, 64-64 tanh. All times are CPU ms of this process on one thread, the least of
many repetitions; drawing episodes and solving rewards are included.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from time import process_time

import numpy as np

from twintier.inmf.perception.paper import (
    COOP_PERCEPTION_PAPER,
    TASK_LOW,
    PaperEpisodes,
    draw_pattern,
)
from twintier.inmf.spec import Array as Rewards
from twintier.launch.case_study.summary import half_width
from twintier.learning import gae
from twintier.learning.aggregate import Adam, average_gradients
from twintier.learning.emulated import adaptation_gradients
from twintier.learning.engines.numpy import OUTPUT_GAIN
from twintier.learning.engines.port import Array
from twintier.learning.meta import MetaSettings
from twintier.learning.network import layers_of, orthogonalise
from twintier.learning.policy import Policy, Vector, initial_parameters
from twintier.learning.ppo import Experience, PpoSettings, linear_advantages, update
from twintier.learning.rollout import Rollout, collect
from twintier.learning.value import ValueNetwork

INMF = COOP_PERCEPTION_PAPER
POLICY = Policy.of(INMF)
PPO = PpoSettings(passes=10, minibatch_slots=75)
EPOCHS, EPISODES = 200, 10
SEEDS = tuple(range(10))
LAST = 20
"""Epochs over which the reward at epoch 200 is averaged."""
VALUE_SCALE = 0.1
"""As for the peer: returns near 10 for the value network."""
PEER_EPSILON = 1e-5
"""Adam's epsilon in Stable-Baselines3."""


def cpu_ms(work: Callable[[], object], repeats: int) -> float:
    """Least CPU time of a call, after one to warm up: the rest is what else the machine did."""
    work()
    times = []
    for _ in range(repeats):
        start = process_time()
        work()
        times.append(1e3 * (process_time() - start))
    return min(times)


class Learner:
    """PPO on task 1, epoch by epoch.

    With a value network everything is as the peer has it: orthogonal weights, its epsilon of Adam,
    and advantages normalised in each minibatch.
    """

    def __init__(self, seed: int, *, value_network: bool) -> None:
        """Start from a policy that knows nothing."""
        self.rng = np.random.default_rng(seed)
        self.flat: Vector = initial_parameters(POLICY, self.rng)
        epsilon = PEER_EPSILON if value_network else 1e-8
        self.settings = replace(PPO, normalise_minibatches=value_network)
        self.adam = Adam(PPO.learning_rate, epsilon=epsilon)
        self.value: ValueNetwork | None = None
        if value_network:
            self.value = ValueNetwork(INMF.observation_dim, self.rng, epsilon=epsilon)
            orthogonalise(layers_of(POLICY.spec.sizes, self.flat), OUTPUT_GAIN, self.rng)
            orthogonalise(layers_of(self.value.network.sizes, self.value.parameters), 1.0, self.rng)

    def epoch(self) -> float:
        """Play, learn, and return the mean return of an episode in J."""
        batch = PaperEpisodes(TASK_LOW, EPISODES, self.rng)
        rollout = collect(POLICY, self.flat, batch, [self.rng])
        experience = Experience.of(rollout, self._advantages(rollout))
        self.flat = update(
            POLICY, self.flat, experience, self.adam, settings=self.settings, rng=self.rng
        )
        return float(rollout.rewards.sum(axis=-1).mean())

    def _advantages(self, rollout: Rollout) -> Array:
        if self.value is None:
            return linear_advantages(INMF, rollout)
        reward = VALUE_SCALE * rollout.rewards
        value = self.value.predict(rollout.observations)
        advantage = gae.advantages(reward, value, gamma=INMF.gamma, gae_lambda=INMF.gae_lambda)
        self.value.fit(
            rollout.observations,
            advantage + value[:, :-1],
            passes=PPO.passes,
            minibatch_slots=PPO.minibatch_slots,
            rng=self.rng,
        )
        return advantage.astype(np.float32)


def meta_iteration(
    settings: MetaSettings, twins: int, rng: np.random.Generator
) -> Callable[[], object]:
    """One iteration of meta training: all twins' gradients, their mean and the outer step."""
    flat = initial_parameters(POLICY, rng)
    logarithms = settings.initial_log_step_sizes(POLICY)
    adam = Adam(3e-3)

    def make(rngs: Sequence[np.random.Generator]) -> PaperEpisodes:
        count = settings.episodes
        patterns = np.repeat([draw_pattern(one) for one in rngs], count, axis=0)
        return PaperEpisodes(patterns, count * len(rngs), rngs[0])

    def iteration() -> None:
        rows = adaptation_gradients(
            POLICY, flat, logarithms, make, settings=settings, rngs=rng.spawn(twins)
        )
        mean, _ = average_gradients({f"{n:05}": row.gradient for n, row in enumerate(rows)})
        adam.step(flat, mean)

    return iteration


def floor() -> Callable[[], object]:
    """The matrix products of one PPO epoch alone, forward and backward."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(PPO.minibatch_slots, 64)).astype(np.float32)
    square = rng.normal(size=(64, 64)).astype(np.float32)
    first = rng.normal(size=(PPO.minibatch_slots, INMF.observation_dim)).astype(np.float32)
    narrow = rng.normal(size=(64, INMF.action_dim)).astype(np.float32)

    def products() -> None:
        for _ in range(PPO.passes * EPISODES * INMF.slots // PPO.minibatch_slots):
            output = np.tanh(rows @ square) @ narrow
            np.tanh(first @ square[: INMF.observation_dim])
            rows.T @ output
            (output @ narrow.T) @ square.T
            rows.T @ rows
            first.T @ rows

    return products


def batched() -> list[dict[str, float]]:
    """CPU ms a twin and round, together and one by one, for twins and episodes."""
    table = []
    for twins, episodes in ((1, 1), (10, 1), (100, 1), (1000, 1), (1, 10), (10, 10), (100, 10)):
        settings = MetaSettings("maml", inner_steps=1, episodes=episodes, learn_step_sizes=False)
        repeats = 3 if twins < 100 else 1
        work = meta_iteration(settings, twins, np.random.default_rng(0))
        alone = meta_iteration(settings, 1, np.random.default_rng(0))
        table.append(
            {
                "twins": twins,
                "episodes": episodes,
                "together_cpu_ms": cpu_ms(work, repeats) / (2 * twins),
                "one_by_one_cpu_ms": cpu_ms(alone, 20) / 2,
            }
        )
    return table


def peer(seed: int) -> tuple[float, float]:
    """CPU ms an epoch and reward at epoch 200 of Stable-Baselines3."""
    from bench._peer import CaseStudyEnvs, learner  # noqa: PLC0415  # an extra, needed here only

    envs = CaseStudyEnvs(EPISODES, seed)
    model = learner(envs, seed)
    model.learn(EPOCHS * EPISODES * INMF.slots)
    times = 1e3 * np.diff(envs.ended_s)
    return float(times.min()), float(np.mean(envs.returns_j[EPOCHS - LAST : EPOCHS]))


def train(seed: int, *, value_network: bool) -> tuple[float, float]:
    """CPU ms an epoch and reward at epoch 200 of this project."""
    learner = Learner(seed, value_network=value_network)
    returns, times = [], []
    for _ in range(EPOCHS):
        start = process_time()
        returns.append(learner.epoch())
        times.append(1e3 * (process_time() - start))
    return min(times), float(np.mean(returns[-LAST:]))


def over_seeds(work: Callable[[int], tuple[float, float]]) -> tuple[float, Rewards]:
    """Least CPU ms of an arm, and its reward with each seed."""
    results = [work(seed) for seed in SEEDS]
    return min(ms for ms, _ in results), np.array([reward for _, reward in results])


def run() -> dict[str, object]:
    """Measure everything."""
    linear_ms, linear_reward = over_seeds(partial(train, value_network=False))
    network_ms, network_reward = over_seeds(partial(train, value_network=True))
    peer_ms, peer_reward = over_seeds(peer)
    rewards = {"twintier": network_reward, "twintier_linear": linear_reward, "sb3": peer_reward}
    second = MetaSettings("maml", inner_steps=1, learn_step_sizes=False)
    first = MetaSettings("fomaml", inner_steps=1, learn_step_sizes=False)
    rng = np.random.default_rng(0)
    return {
        "ppo_epoch_cpu_ms": linear_ms,
        "ppo_equal_value_net_cpu_ms": network_ms,
        "sb3_vecenv_cpu_ms": peer_ms,
        "ppo_ratio_to_sb3": peer_ms / linear_ms,
        "ppo_equal_value_net_ratio_to_sb3": peer_ms / network_ms,
        "reward_at_200": {name: float(seeds.mean()) for name, seeds in rewards.items()},
        "reward_at_200_ci95": {name: float(half_width(seeds)) for name, seeds in rewards.items()},
        "seeds": list(SEEDS),
        "maml_iteration_cpu_ms": cpu_ms(meta_iteration(second, 20, rng), 10),
        "fomaml_cpu_ms": cpu_ms(meta_iteration(first, 20, rng), 10),
        "floor_cpu_ms": cpu_ms(floor(), 10),
        "batched": batched(),
    }
