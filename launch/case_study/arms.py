"""The arms of the case study: what one seed of each computes. Pure; no files, no clock.

Task 1 has 5 MHz in every slot, task 2 has 7 MHz, a task of meta training has a random pattern of
5, 6 and 7 MHz. Rewards are returns of an episode in J, as the policy explores; entropies are means
over the pairs, in nats.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

from twintier.inmf.perception.paper import (
    COOP_PERCEPTION_PAPER,
    TASK_HIGH,
    TASK_LOW,
    PaperEpisodes,
    draw_pattern,
)
from twintier.inmf.spec import Array, Mlp
from twintier.learning.aggregate import Adam, MetaOptimizer
from twintier.learning.meta import MetaSettings
from twintier.learning.meta_training import MetaTraining
from twintier.learning.policy import (
    Policy,
    Vector,
    entropy,
    reheated,
    uniform_parameters,
    with_free,
)
from twintier.learning.ppo import Experience, PpoSettings, linear_advantages, update
from twintier.learning.rollout import Rollout, collect

Arm = Literal["PPO-random", "PPO-ML", "PPO-TL", "PPO-TL-reset", "PPO-multitask"]
ARMS: tuple[Arm, ...] = get_args(Arm)
Start = Literal["random", "transfer", "multitask", "meta"]
STARTS: tuple[Start, ...] = get_args(Start)
START_OF: dict[Arm, Start] = {
    "PPO-random": "random",
    "PPO-ML": "meta",
    "PPO-TL": "transfer",
    "PPO-TL-reset": "transfer",
    "PPO-multitask": "multitask",
}
INMF = COOP_PERCEPTION_PAPER
Tick = Callable[[], None]


@dataclass(frozen=True, slots=True)
class CaseStudySettings:
    """Section IV; what the paper does not give is assumed (docs/learning.md)."""

    hidden: tuple[int, ...] = (16, 16)
    """Hidden layers of the policy; those of the authors' public implementation."""
    epochs: int = 500
    """Epochs of each arm on task 1."""
    source_epochs: int = 500
    """Epochs on task 2 before PPO-TL comes to task 1."""
    episodes: int = 10
    """Episodes of an epoch, and of a task in a round of meta training."""
    mixture_iterations: int = 150
    """Iterations of multi-task PPO."""
    meta_iterations: int = 150
    """Iterations of meta training, which starts from the mixture's policy, reheated."""
    tasks: int = 10
    """Tasks of an iteration (I)."""
    meta_learning_rate: float = 3e-3
    """Outer step size of Adam (beta), falling linearly to a fifth."""
    ppo: PpoSettings = field(default_factory=PpoSettings)
    meta: MetaSettings = field(
        default_factory=lambda: MetaSettings(
            "maml",
            inner_steps=1,
            learn_step_sizes=False,
            initial_step_size=0.1,
            normalise_outer=True,
        )
    )

    @property
    def policy(self) -> Policy:
        """Network and head."""
        return Policy.of(replace(INMF, network=Mlp(self.hidden)))


@dataclass(frozen=True, slots=True)
class Curves:
    """What one seed of an arm shows."""

    reward_j: Array
    """(epochs,) mean return of the epoch's episodes, before the epoch's update."""
    entropy: Array
    """(epochs,) of the policy that played them."""


def start_of(
    start: Start,
    earlier: Mapping[Start, Vector],
    settings: CaseStudySettings,
    seed: int,
    tick: Tick,
) -> Vector:
    """The parameters that arms with this start begin with on task 1.

    Args:
        start: which.
        earlier: the starts before it in `STARTS`; `meta` begins with `multitask`.
        settings: of the study.
        seed: of everything that is drawn.
        tick: called after each epoch or iteration.
    """
    rng = np.random.default_rng([seed, STARTS.index(start)])
    flat = uniform_parameters(settings.policy, np.random.default_rng(seed))
    if start == "meta":
        return _meta_trained(earlier["multitask"], settings, seed, tick)
    if start == "transfer":
        return learn(flat, TASK_HIGH, settings, settings.source_epochs, rng=rng, tick=tick)[0]
    if start == "multitask":
        return _multitask(flat, settings, rng, tick)
    return flat


def run_arm(arm: Arm, start: Vector, settings: CaseStudySettings, seed: int, tick: Tick) -> Curves:
    """Adapt to task 1 from the arm's start."""
    flat = with_free(settings.policy, start, 0.0) if arm == "PPO-TL-reset" else start
    rng = arm_rng(arm, seed)
    return learn(flat, TASK_LOW, settings, settings.epochs, rng=rng, tick=tick)[1]


def arm_rng(arm: Arm, seed: int) -> np.random.Generator:
    """Source of what is drawn while an arm adapts."""
    return np.random.default_rng([seed, len(STARTS), ARMS.index(arm)])


class Player:
    """The side of the network: plays epochs of a task with the policies that it is given."""

    def __init__(
        self, pattern_mhz: Array, settings: CaseStudySettings, rng: np.random.Generator
    ) -> None:
        """Take the task and the source of episodes and exploration."""
        self._pattern_mhz, self._settings, self._rng = pattern_mhz, settings, rng

    def play(self, flat: Vector) -> Rollout:
        """One epoch's episodes, explored with (n,) parameters."""
        batch = PaperEpisodes(self._pattern_mhz, self._settings.episodes, self._rng)
        return collect(self._settings.policy, flat, batch, [self._rng])


class Learner:
    """The side of the twin: learns from what was played, epoch by epoch."""

    def __init__(
        self, start: Vector, settings: CaseStudySettings, rng: np.random.Generator
    ) -> None:
        """Begin with (n,) parameters and an optimiser without memory."""
        self.parameters = start
        self._settings, self._rng = settings, rng
        self._adam = Adam(settings.ppo.learning_rate)
        self._reward_j: list[float] = []
        self._entropy: list[float] = []

    def learn(self, rollout: Rollout) -> None:
        """Note what the policy earned and take one PPO update."""
        policy, settings = self._settings.policy, self._settings
        self._reward_j.append(float(rollout.rewards.sum(axis=-1).mean()))
        seen = rollout.observations.reshape(-1, INMF.observation_dim)
        self._entropy.append(entropy(policy, self.parameters, seen))
        experience = Experience.of(rollout, linear_advantages(INMF, rollout))
        self.parameters = update(
            policy, self.parameters, experience, self._adam, settings=settings.ppo, rng=self._rng
        )

    @property
    def curves(self) -> Curves:
        """The epochs so far."""
        return Curves(np.array(self._reward_j), np.array(self._entropy))


def learn(
    flat: Vector,
    pattern_mhz: Array,
    settings: CaseStudySettings,
    epochs: int,
    *,
    rng: np.random.Generator,
    tick: Tick,
) -> tuple[Vector, Curves]:
    """PPO on one task for so many epochs."""
    world, order = rng.spawn(2)
    player, learner = Player(pattern_mhz, settings, world), Learner(flat, settings, order)
    for _ in range(epochs):
        learner.learn(player.play(learner.parameters))
        tick()
    return learner.parameters, learner.curves


def tasks_of(
    rngs: Sequence[np.random.Generator], episodes: int
) -> Callable[[Sequence[np.random.Generator]], PaperEpisodes]:
    """A random radio pattern for each twin, and its batches of episodes, round after round."""
    patterns = np.repeat([draw_pattern(rng) for rng in rngs], episodes, axis=0)

    def make(generators: Sequence[np.random.Generator]) -> PaperEpisodes:
        return PaperEpisodes(patterns, len(patterns), generators[0])

    return make


def meta_training(mixture: Vector, settings: CaseStudySettings, seed: int) -> MetaTraining:
    """Meta training before its first iteration: from the mixture's policy, exploring again.

    From random parameters some seeds end in cooperating with the same two pairs always.
    """
    policy, rng = settings.policy, np.random.default_rng([seed, len(STARTS) + 1])
    batch = PaperEpisodes(draw_pattern(rng), settings.episodes, rng)
    seen = collect(policy, mixture, batch, None).observations.reshape(-1, INMF.observation_dim)
    optimizer = MetaOptimizer(settings.meta_learning_rate, decay_steps=settings.meta_iterations)
    return MetaTraining.start(policy, reheated(policy, mixture, seen), settings.meta, optimizer)


def task_names(settings: CaseStudySettings) -> tuple[str, ...]:
    """Ids of the twins of an iteration, each with a task of its own."""
    return tuple(f"task-{task:04}" for task in range(settings.tasks))


def task_rngs(names: Sequence[str], seed: int, iteration: int) -> dict[str, np.random.Generator]:
    """The generator of each twin in an iteration."""
    return {
        name: np.random.default_rng([seed, iteration, int(name.rpartition("-")[2])])
        for name in names
    }


def _meta_trained(mixture: Vector, settings: CaseStudySettings, seed: int, tick: Tick) -> Vector:
    training = meta_training(mixture, settings, seed)
    for iteration in range(settings.meta_iterations):
        rngs = task_rngs(task_names(settings), seed, iteration)
        training.iterate(tasks_of(list(rngs.values()), settings.meta.episodes), rngs)
        tick()
    return training.parameters


def _multitask(
    flat: Vector, settings: CaseStudySettings, rng: np.random.Generator, tick: Tick
) -> Vector:
    """PPO on the mixture, with minibatches that grow with the batch."""
    policy, adam = settings.policy, Adam(settings.ppo.learning_rate)
    ppo = replace(settings.ppo, minibatch_slots=settings.ppo.minibatch_slots * settings.tasks)
    for _ in range(settings.mixture_iterations):
        batch = tasks_of([rng] * settings.tasks, settings.episodes)([rng])
        rollout = collect(policy, flat, batch, [rng])
        experience = Experience.of(rollout, linear_advantages(INMF, rollout))
        flat = update(policy, flat, experience, adam, settings=ppo, rng=rng)
        tick()
    return flat
