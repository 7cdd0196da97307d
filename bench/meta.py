"""`python -m bench meta`: what a start is worth after k updates, on `coop-perception-hidden` v1.

An update is 10 episodes (750 slots) of the condition. Starts that were meta trained with learned
step sizes take plain gradient steps first, as many as in training, then PPO like the others; all
others are reheated before PPO. Shares are means over the seven conditions (`transfer`: the six that
its source is not) of greedy returns over the expert's on common traces; `share_while_exploring` is
of the returns of the update's own episodes. Intervals are over training seeds.
"""

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from multiprocessing import get_context
from time import process_time
from typing import TypeVar

import numpy as np

from bench import _conditioned, _encoder, _six_pairs
from bench._hidden import (
    DAY,
    EPISODES,
    POLICY,
    HiddenEpisodes,
    Task,
    fine_tune,
    greedy,
    ppo_update,
    train_meta,
    train_mixture,
    warm,
)
from twintier.launch.case_study.summary import half_width
from twintier.learning.aggregate import Adam
from twintier.learning.engines.port import Array
from twintier.learning.errors import SettingsError
from twintier.learning.meta import MetaSettings
from twintier.learning.policy import Vector, initial_parameters
from twintier.learning.policy_step import policy_gradient
from twintier.learning.ppo import PpoSettings

SEEDS = (0, 1, 2, 3)
DATA_SEEDS = (0, 1)
REPORTED = (0, 1, 2, 3, 5, 10)
MIXTURE_ITERATIONS, META_ITERATIONS, EXPERT_EPOCHS = 150, 260, 100
LONGER_ITERATIONS = 1000
"""Of the mixture that has about the processor time of `maml_k3`, which starts from the other."""
EVALUATION_EPISODES = 100
PPO = PpoSettings(learning_rate=1e-2, minibatch_slots=250)
META: dict[str, MetaSettings] = {
    "maml_k1": MetaSettings("maml", inner_steps=1),
    "maml_k3": MetaSettings("maml", inner_steps=3, judged="every"),
    "fomaml": MetaSettings("fomaml", inner_steps=1),
    "fomaml_k3": MetaSettings("fomaml", inner_steps=3, judged="every"),
    "reptile": MetaSettings("reptile", inner_steps=3, learn_step_sizes=False),
}
Trained = TypeVar("Trained")
PLAIN_STEPS = {"maml_k1": 1, "maml_k3": 3, "fomaml_k3": 3}
"""Arms that begin with plain steps; `fomaml` and `reptile` are better served by PPO at once."""
SOURCE = "A"
"""Condition whose expert `transfer` starts from, and where it is not judged."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where an arm starts in any condition."""

    parameters: Vector
    log_step_sizes: Array | None = None
    plain_steps: int = 0
    source: str | None = None
    """Condition that it was trained on alone."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Common traces of a condition and its expert's reward on them."""

    task: Task
    traces: HiddenEpisodes
    expert_j: float

    def share(self, flat: Array) -> float:
        """Greedy reward over the expert's."""
        return greedy(flat, self.traces) / self.expert_j


def follow(start: Start, judge: Judge, rng: np.random.Generator) -> tuple[list[float], list[float]]:
    """Shares after 0, 1, ... updates, and while exploring in each update."""
    flat = start.parameters
    after, during = [judge.share(flat)], []
    adam = Adam(PPO.learning_rate)
    for number in range(max(REPORTED)):
        batch = judge.task.batch(EPISODES, rng)
        if number < start.plain_steps and start.log_step_sizes is not None:
            step = policy_gradient(POLICY, flat[None], batch, [rng])
            flat = flat - np.exp(start.log_step_sizes) * step.gradient[0]
            explored = float(step.reward[0])
        else:
            if number == start.plain_steps:
                flat = warm(flat, judge.task, rng)
            flat, explored = ppo_update(flat, batch, adam, PPO, rng)
        after.append(judge.share(flat))
        during.append(explored / judge.expert_j)
    return after, during


def judges(experts: Mapping[str, Vector]) -> dict[str, Judge]:
    """One for each condition of the day."""
    result = {}
    for name, task in DAY.items():
        traces = task.batch(EVALUATION_EPISODES, np.random.default_rng(99))
        result[name] = Judge(task, traces, greedy(experts[name], traces))
    return result


def timed(name: str, spent: dict[str, float], work: Callable[[], Trained]) -> Trained:
    """Do the work and add its CPU time to `spent`."""
    start = process_time()
    result = work()
    spent[name] = spent.get(name, 0.0) + process_time() - start
    return result


def mixture_of(seed: int) -> tuple[Vector, dict[str, float]]:
    """The mixture's policy of a training seed, and CPU s."""
    spent: dict[str, float] = {}
    rng = np.random.default_rng(seed)
    return timed("mixture", spent, lambda: train_mixture(MIXTURE_ITERATIONS, rng)), spent


def experts_from(mixture: Vector, seed: int) -> tuple[dict[str, Vector], dict[str, float]]:
    """The expert of each condition, and CPU s."""
    spent: dict[str, float] = {}
    rng = np.random.default_rng([seed, 1])

    def work() -> dict[str, Vector]:
        return {
            name: fine_tune(mixture, task, EXPERT_EPOCHS, 16, rng) for name, task in DAY.items()
        }

    return timed("experts", spent, work), spent


def train_starts(
    seed: int, mixture: Vector, experts: Mapping[str, Vector], spent: dict[str, float]
) -> dict[str, Start]:
    """All starts of one training seed."""
    rng = np.random.default_rng([seed, 2])
    longer = timed("mixture_longer", spent, partial(train_mixture, LONGER_ITERATIONS, rng))
    starts = {
        "mixture_reheated": Start(mixture),
        "mixture_longer": Start(longer),
        "transfer": Start(experts[SOURCE], source=SOURCE),
        "scratch": Start(initial_parameters(POLICY, rng)),
    }
    begin = warm(mixture, DAY[SOURCE], rng)
    for name, settings in META.items():
        parameters, logs = timed(
            name, spent, partial(train_meta, begin, settings, META_ITERATIONS, rng)
        )
        starts[name] = Start(parameters, logs, PLAIN_STEPS.get(name, 0))
    return starts


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one training seed shows."""

    after: dict[str, Array]
    """(updates + 1,) shares by arm."""
    during: dict[str, Array]
    """(updates,) shares while exploring, by arm."""
    spent: dict[str, float]
    """CPU s by what was trained."""


def one_seed(seed: int, mixture: Vector, experts: Mapping[str, Vector]) -> Outcome:
    """Train and evaluate all arms of a training seed."""
    outcome = Outcome({}, {}, {})
    starts = train_starts(seed, mixture, experts, outcome.spent)
    everywhere = judges(experts)
    for name, start in starts.items():
        shares, exploring = evaluate(start, everywhere)
        outcome.after[name], outcome.during[name] = shares, exploring
        print(f"seed {seed} {name}: {np.round(shares[list(REPORTED)], 3)}", file=sys.stderr)
    return outcome


def evaluate(start: Start, everywhere: Mapping[str, Judge]) -> tuple[Array, Array]:
    """Mean shares over conditions but the start's own and data seeds, after and during updates."""
    runs = [
        follow(start, judge, np.random.default_rng([data_seed, number]))
        for data_seed in DATA_SEEDS
        for number, (name, judge) in enumerate(everywhere.items())
        if name != start.source
    ]
    after, during = (np.mean([run[part] for run in runs], axis=0) for part in range(2))
    return after, during


def table(rows: Mapping[str, list[Array]], columns: Mapping[int, int]) -> dict[str, object]:
    """Mean over training seeds by arm and update, with the half width of the 95 % interval.

    Args:
        rows: (columns,) of each seed, by arm.
        columns: from an update's number to its column.
    """
    result: dict[str, object] = {}
    for arm, seeds in rows.items():
        stacked = np.stack(seeds).astype(np.float64)
        half = half_width(stacked)
        result[arm] = {str(k): float(stacked[:, at].mean()) for k, at in columns.items()}
        result[f"{arm}_ci95"] = {str(k): float(half[at]) for k, at in columns.items()}
    return result


def run(seeds: Sequence[int] = SEEDS) -> dict[str, object]:
    """Train and evaluate all arms, a process for each seed; the experts are the first seed's.

    Raises:
        SettingsError: if there is no seed.
    """
    if not seeds:
        raise SettingsError("the meta bench needs at least one seed")
    with ProcessPoolExecutor(len(seeds) + 1, get_context("spawn")) as pool:
        mixtures, spent = zip(*pool.map(mixture_of, seeds), strict=True)
        experts, experts_s = experts_from(mixtures[0], seeds[0])
        still = pool.submit(without_gradient_steps, experts)
        outcomes = list(pool.map(one_seed, seeds, mixtures, repeat(experts)))
        plain, still_s = still.result()
    after, during = (
        {arm: [getattr(one, part)[arm] for one in outcomes] for arm in outcomes[0].after}
        for part in ("after", "during")
    )
    total = Counter[str]()
    for part in (*spent, experts_s, still_s, *(one.spent for one in outcomes)):
        total.update(part)
    return {
        **plain,
        "share_of_expert": table(after, {k: k for k in REPORTED}),
        "share_while_exploring": table(during, {k: k - 1 for k in REPORTED if k}),
        "lead_over_mixture": table(leads(after), {k: k for k in REPORTED}),
        "train_cpu_s": dict(total),
        "seeds": list(seeds),
    }


def leads(after: Mapping[str, list[Array]]) -> dict[str, list[Array]]:
    """What each arm has more than the mixture of the same training seed."""
    mixture = after["mixture_reheated"]
    return {
        arm: [own - base for own, base in zip(shares, mixture, strict=True)]
        for arm, shares in after.items()
    }


def without_gradient_steps(
    experts: Mapping[str, Vector],
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """The policies that no gradient step adapts, one training each; and CPU s."""
    spent: dict[str, float] = {}
    everywhere = judges(experts)
    traces = {name: judge.traces.trace for name, judge in everywhere.items()}
    experts_j = {name: judge.expert_j for name, judge in everywhere.items()}
    oracle = _conditioned.strict_oracle(traces, experts_j)
    work: dict[str, Callable[[np.random.Generator], dict[str, float]]] = {
        "conditioned": partial(_conditioned.figures, traces, oracle),
        "encoder": partial(_encoder.figures, traces, oracle),
        "six_pairs": _six_pairs.figures,
    }
    figures = {
        name: timed(name, spent, partial(one, np.random.default_rng(0)))
        for name, one in work.items()
    }
    return figures, spent
