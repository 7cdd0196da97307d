"""`python -m bench engines`: the torch engine beside the numpy one, and a recurrent network.

PPO epochs and MAML iterations of `bench learning`'s sizes, in CPU ms of this process on one
thread, the least of several. The differences are of the same epoch and the same iteration on both
engines in float64: the largest difference of a new parameter, relative to the largest change.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from bench._origin import origin
from bench.learning import EPISODES, PPO, cpu_ms
from twintier.inmf.episodes import Actions, EpisodeBatch, Memory
from twintier.inmf.perception.paper import COOP_PERCEPTION_PAPER, PaperEpisodes, draw_pattern
from twintier.inmf.spec import Array as Rewards
from twintier.inmf.spec import InmfSpec, Observation, TorchModule
from twintier.learning.aggregate import Adam
from twintier.learning.emulated import adaptation_gradients
from twintier.learning.engines.numpy import order_in_torch
from twintier.learning.engines.port import Array
from twintier.learning.meta import MetaSettings, backpropagate
from twintier.learning.policy import Policy, initial_parameters
from twintier.learning.policy_step import policy_gradient
from twintier.learning.ppo import Experience, linear_advantages, update
from twintier.learning.rollout import collect

INMF = COOP_PERCEPTION_PAPER
WINDOW, UNITS = 5, 32
"""Slots that the recurrent network looks back, and its units."""
STACKED = replace(
    INMF,
    observation_dim=WINDOW * INMF.observation_dim,
    network=TorchModule("bench._networks:GruPolicy", (("window", WINDOW), ("units", UNITS))),
)
MODULE = replace(INMF, network=TorchModule("bench._networks:TanhMlp", (("width", 64),)))
META = MetaSettings("maml", inner_steps=1, learn_step_sizes=False, initial_step_size=0.1)
TWINS = 20
ROUNDS = 4
SEEDS = (0, 1, 2)
"""Of the differences; times are of the first."""

Draw = Callable[[Sequence[np.random.Generator], int], EpisodeBatch]


@dataclass(frozen=True, slots=True)
class StackedEpisodes:
    """Episodes that show the observations of the last slots, oldest first; zeros before any."""

    inner: PaperEpisodes
    spec: InmfSpec = STACKED
    exogenous: bool = True

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return self.inner.episodes

    def first_memory(self) -> Memory:
        """Nothing: observations follow from the slot alone."""
        return {}

    def observe(self, slot: int, memory: Memory) -> Observation:
        """(episodes, observation_dim) of a slot."""
        del memory
        return self.observe_all()[:, slot]

    def observe_all(self) -> Observation:
        """(episodes, slots, observation_dim) of all slots."""
        seen = self.inner.observe_all()
        padded = np.pad(seen, ((0, 0), (WINDOW - 1, 0), (0, 0)))
        shifted = [padded[:, back : back + seen.shape[1]] for back in range(WINDOW)]
        return np.concatenate(shifted, axis=-1)

    def remember(self, slot: int, memory: Memory, actions: Actions) -> Memory:
        """Nothing."""
        del slot, actions
        return memory

    def rewards(self, actions: Actions) -> Rewards:
        """(episodes, slots) J."""
        return self.inner.rewards(actions)


def draw_plain(rngs: Sequence[np.random.Generator], count: int) -> PaperEpisodes:
    """So many episodes of a random task for each generator."""
    patterns = np.repeat([draw_pattern(one) for one in rngs], count, axis=0)
    return PaperEpisodes(patterns, count * len(rngs), rngs[0])


def draw_stacked(rngs: Sequence[np.random.Generator], count: int) -> StackedEpisodes:
    """As `draw_plain`, with a window of observations."""
    return StackedEpisodes(draw_plain(rngs, count))


def ppo_epoch(policy: Policy, flat: Array, draw: Draw, seed: int) -> Array:
    """Parameters after one epoch."""
    rng = np.random.default_rng(seed)
    rollout = collect(policy, flat, draw([rng], EPISODES), [rng])
    experience = Experience.of(rollout, linear_advantages(INMF, rollout))
    return update(policy, flat, experience, Adam(PPO.learning_rate), settings=PPO, rng=rng)


def maml_iteration(policy: Policy, flat: Array, draw: Draw, seed: int) -> Array:
    """Parameters after one iteration of all twins and the outer step."""
    rngs = np.random.default_rng(seed).spawn(TWINS)
    logarithms = META.initial_log_step_sizes(policy)
    rows = adaptation_gradients(
        policy, flat, logarithms, lambda each: draw(each, META.episodes), settings=META, rngs=rngs
    )
    return Adam(3e-3).step(flat, np.mean([row.gradient for row in rows], axis=0))


def exact_meta_gradient(policy: Policy, flat: Array, draw: Draw, seed: int) -> Array:
    """Mean meta gradient as `maml_iteration` has it, but nowhere rounded to float32."""
    rngs = np.random.default_rng(seed).spawn(TWINS)
    start = np.repeat(flat[None], TWINS, axis=0)
    step_sizes = np.full(flat.size, META.initial_step_size)
    inner = policy_gradient(policy, start, draw(rngs, META.episodes), rngs)
    adapted = start - step_sizes * inner.gradient
    outer = policy_gradient(policy, adapted, draw(rngs, META.episodes), rngs, normalise=False)
    gradient, _ = backpropagate([inner], {1: outer.gradient}, step_sizes, META, second_order=True)
    mean: Array = gradient.mean(axis=0)
    return mean


def differences() -> dict[str, float]:
    """Largest relative differences of the engines on the shared network."""
    ours, theirs = Policy.of(INMF), Policy.of(MODULE)
    order = order_in_torch(ours.spec.sizes)
    order = np.append(order, np.arange(order.size, ours.parameters))
    largest = {"ppo": 0.0, "maml": 0.0}
    for seed in SEEDS:
        flat = initial_parameters(ours, np.random.default_rng(seed)).astype(np.float64)
        for name, work in (("ppo", ppo_epoch), ("maml", exact_meta_gradient)):
            before = flat if name == "ppo" else np.zeros_like(flat)
            one = (work(ours, flat, draw_plain, seed) - before)[order]
            other = work(theirs, flat[order], draw_plain, seed) - before[order]
            difference = float(np.abs(one - other).max() / np.abs(one).max())
            largest[name] = max(largest[name], difference)
    return largest


def times(arms: Mapping[str, tuple[InmfSpec, Draw]]) -> dict[str, dict[str, float]]:
    """CPU ms of an epoch and an iteration of each arm, in turns, so that a busy minute hits all."""
    least = {name: {"ppo": np.inf, "maml": np.inf} for name in arms}
    for _ in range(ROUNDS):
        for name, (spec, draw) in arms.items():
            policy = Policy.of(spec)
            flat = initial_parameters(policy, np.random.default_rng(0))
            for kind, work, repeats in (("ppo", ppo_epoch, 6), ("maml", maml_iteration, 2)):
                taken = cpu_ms(partial(work, policy, flat, draw, SEEDS[0]), repeats)
                least[name][kind] = min(least[name][kind], taken)
    return least


def run() -> dict[str, object]:
    """Measure everything."""
    taken = times(
        {
            "numpy": (INMF, draw_plain),
            "torch": (MODULE, draw_plain),
            "gru": (STACKED, draw_stacked),
        }
    )
    return {
        **origin(["numpy", "torch"]),
        "mlp": {"numpy_ms": taken["numpy"], "torch_ms": taken["torch"]},
        "gru": {"torch_ms": taken["gru"]},
        "largest_difference": differences(),
        "seeds": list(SEEDS),
        "sizes": {
            "ppo": f"{EPISODES} episodes of {INMF.slots} slots, {PPO.passes} passes of "
            f"{PPO.minibatch_slots}",
            "maml": f"{TWINS} tasks x {META.episodes} episodes x 2 rounds",
            "mlp": "7-64-64-3 tanh",
            "gru": f"window of {WINDOW} slots, {UNITS} units",
        },
    }
