"""The arms of the case study: what one seed of each computes. Pure; no files, no clock.

Task 1 has 5 MHz in every slot, task 2 has 7 MHz, a task of meta training has a random pattern of
5, 6 and 7 MHz. Rewards are returns of an episode in J, as the policy explores; entropies are means
over the pairs, in nats.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

from twintier.cloud_twin.meta_training import round_seed, training_seed
from twintier.edge_twin.logged import LEAST_SHARE
from twintier.edge_twin.rounds import seed_of
from twintier.edge_twin.training import attempt_seed
from twintier.inmf.actor import Actor
from twintier.inmf.contract import LOG_PROB, REWARD, SAMPLE, Columns
from twintier.inmf.perception.paper import TASK_HIGH, TASK_LOW, PaperEpisodes, draw_pattern
from twintier.inmf.spec import Mlp
from twintier.launch.case_study.epochs import INMF, PAPER, Curves, Network, point, travelled
from twintier.learning.aggregate import Adam, MetaOptimizer
from twintier.learning.emulated import adaptation_gradient
from twintier.learning.logged import Logged, adapt_logged
from twintier.learning.meta import MetaGradient, MetaSettings
from twintier.learning.meta_training import MetaTraining
from twintier.learning.policy import Policy, Vector, reheated, uniform_parameters, with_free
from twintier.learning.ppo import Experience, PpoSettings, linear_advantages, update
from twintier.learning.rollout import collect
from twintier.protocol.ids import PlvnId
from twintier.protocol.messages import Site

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
        return Policy.of(replace(PAPER.spec, network=Mlp(self.hidden)))


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
        source = Network(PlvnId("source"), TASK_HIGH, settings.episodes, seed)
        return learn(flat, source, settings, settings.source_epochs, tick=tick)[0]
    if start == "multitask":
        return _multitask(flat, settings, rng, tick)
    return flat


def run_arm(arm: Arm, start: Vector, settings: CaseStudySettings, seed: int, tick: Tick) -> Curves:
    """Adapt to task 1 from the arm's start.

    Args:
        arm: what learns.
        start: (parameters,) float32 that it begins with, of `start_of`.
        settings: of all arms.
        seed: of episodes and updates.
        tick: called once an epoch.
    """
    flat = with_free(settings.policy, start, 0.0) if arm == "PPO-TL-reset" else start
    return learn(flat, network_of(arm, settings, seed), settings, settings.epochs, tick=tick)[1]


def network_of(arm: Arm, settings: CaseStudySettings, seed: int) -> Network:
    """The PLVN that an arm adapts to: task 1."""
    return Network(PlvnId(arm), TASK_LOW, settings.episodes, seed)


def learn(
    flat: Vector, network: Network, settings: CaseStudySettings, epochs: int, *, tick: Tick
) -> tuple[Vector, Curves]:
    """PPO on one task for so many epochs, as a twin and its PLVN do it in the paper's loop."""
    policy, adam = settings.policy, Adam(settings.ppo.learning_rate)
    points: list[tuple[float, float]] = []
    for epoch in range(epochs):
        columns = travelled(network.play(Actor(policy.spec, flat), epoch))
        points.append(point(policy, flat, columns))
        seed = attempt_seed(network.seed, network.plvn, INMF, epoch + 1)
        adapted = adapt_logged(
            policy,
            flat,
            _logged(columns),
            settings=settings.ppo,
            rng=np.random.default_rng(seed),
            adam=adam,
        )
        if adapted.effective_share >= LEAST_SHARE:
            flat = adapted.parameters
        tick()
    return flat, Curves.of(points)


def _logged(columns: Columns) -> Logged:
    sample, log_prob = columns[SAMPLE].astype(np.float32), columns[LOG_PROB].astype(np.float32)
    return Logged.of(PAPER.spec, PAPER.observe(columns), sample, log_prob, columns[REWARD])


def meta_training(mixture: Vector, settings: CaseStudySettings, seed: int) -> MetaTraining:
    """Meta training before its first iteration: from the mixture's policy, exploring again.

    From random parameters some seeds end in cooperating with the same two pairs always.
    """
    policy, rng = settings.policy, np.random.default_rng([seed, len(STARTS) + 1])
    batch = PaperEpisodes(draw_pattern(rng), settings.episodes, rng)
    rollout = collect(policy, mixture, batch, None)
    seen = rollout.observations.reshape(-1, PAPER.spec.observation_dim)
    optimizer = MetaOptimizer(settings.meta_learning_rate, decay_steps=settings.meta_iterations)
    return MetaTraining.start(policy, reheated(policy, mixture, seen), settings.meta, optimizer)


@dataclass(frozen=True, slots=True)
class Task:
    """A PLVN of meta training, with a radio pattern of its own."""

    plvn: PlvnId
    site: Site


def meta_tasks(settings: CaseStudySettings, seed: int) -> tuple[Task, ...]:
    """The PLVNs of meta training, in the order of their ids."""
    return tuple(
        Task(
            PlvnId(f"task-{number:04}"),
            Site(city=f"{seed}-{number}", road="any", lat_deg=0.0, lon_deg=0.0),
        )
        for number in range(settings.tasks)
    )


def _meta_trained(mixture: Vector, settings: CaseStudySettings, seed: int, tick: Tick) -> Vector:
    training, tasks = meta_training(mixture, settings, seed), meta_tasks(settings, seed)
    for iteration in range(settings.meta_iterations):
        asked = round_seed(training_seed(seed, 1), iteration)
        rows = {task.plvn: _contribution(task, training, asked) for task in tasks}
        training.apply(
            {plvn: row.gradient for plvn, row in rows.items()},
            {plvn: row.step_size_gradient for plvn, row in rows.items()},
        )
        tick()
    return training.parameters


def _contribution(task: Task, training: MetaTraining, asked: int) -> MetaGradient:
    """What one twin computes in an iteration whose seed the cloud twin has given."""
    emulator = PAPER.emulator(task.site)
    return adaptation_gradient(
        training.policy,
        training.parameters,
        training.log_step_sizes,
        lambda rng: emulator.draw(training.settings.episodes, rng),
        settings=training.settings,
        rng=np.random.default_rng(seed_of(asked, task.plvn)),
    )


def _multitask(
    flat: Vector, settings: CaseStudySettings, rng: np.random.Generator, tick: Tick
) -> Vector:
    """PPO on the mixture, with minibatches that grow with the batch."""
    policy, adam = settings.policy, Adam(settings.ppo.learning_rate)
    ppo = replace(settings.ppo, minibatch_slots=settings.ppo.minibatch_slots * settings.tasks)
    for _ in range(settings.mixture_iterations):
        patterns = [draw_pattern(rng) for _ in range(settings.tasks)]
        each = np.repeat(patterns, settings.episodes, axis=0)
        batch = PaperEpisodes(each, len(each), rng)
        rollout = collect(policy, flat, batch, [rng])
        experience = Experience.of(rollout, linear_advantages(PAPER.spec, rollout))
        flat = update(policy, flat, experience, adam, settings=ppo, rng=rng)
        tick()
    return flat
