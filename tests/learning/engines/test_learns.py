"""Learning on both engines: the same numbers on the shared network, and a network with memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest

from tests.learning.toys import ToyEpisodes, toy_episodes, toy_spec
from twintier.inmf.episodes import Actions, Memory
from twintier.inmf.spec import Array as Rewards
from twintier.inmf.spec import InmfSpec, Mlp, MultiBinary, Observation, TorchModule
from twintier.learning.aggregate import Adam
from twintier.learning.emulated import adaptation_gradients
from twintier.learning.engines.numpy import order_in_torch
from twintier.learning.engines.port import Array
from twintier.learning.meta import MetaSettings, backpropagate
from twintier.learning.policy import Policy, Vector, initial_parameters
from twintier.learning.policy_step import policy_gradient
from twintier.learning.ppo import Experience, PpoSettings, linear_advantages, update
from twintier.learning.rollout import collect, mean_reward
from twintier.learning.surrogate import Surrogate

BUILT_IN = replace(toy_spec(), network=Mlp((7, 7)))
MODULE = replace(toy_spec(), network=TorchModule("bench._networks:TanhMlp", (("width", 7),)))
TWINS = 4


def shared() -> tuple[Policy, Policy, Array, npt.NDArray[np.int64]]:
    """Both policies, numbers of the first, and where the second's stand in them."""
    ours, theirs = Policy.of(BUILT_IN), Policy.of(MODULE)
    order = order_in_torch(ours.spec.sizes)
    order = np.append(order, np.arange(order.size, ours.parameters))
    flat = np.random.default_rng(0).normal(0.0, 0.5, ours.parameters)
    return ours, theirs, flat, order


def epoch(policy: Policy, flat: Array, *, exogenous: bool) -> Array:
    rng = np.random.default_rng(1)
    rollout = collect(policy, flat, toy_episodes(10, rng, exogenous=exogenous), [rng])
    experience = Experience.of(rollout, linear_advantages(toy_spec(), rollout))
    settings = PpoSettings(minibatch_slots=40, entropy_coefficient=0.01)
    return update(policy, flat, experience, Adam(1e-2), settings=settings, rng=rng)


@pytest.mark.parametrize("exogenous", [True, False])
def test_an_epoch_of_ppo_is_the_same_on_both_engines(*, exogenous: bool) -> None:
    ours, theirs, flat, order = shared()
    one = epoch(ours, flat, exogenous=exogenous)
    other = epoch(theirs, flat[order], exogenous=exogenous)
    assert np.abs(one - flat).max() > 0.01
    np.testing.assert_allclose(other, one[order], rtol=1e-9, atol=1e-12)


def meta_gradient(
    policy: Policy, flat: Array, settings: MetaSettings, *, exogenous: bool
) -> tuple[Array, Array]:
    """As `adaptation_gradients`, in float64 to the end."""
    rngs = np.random.default_rng(2).spawn(TWINS)
    current = np.repeat(flat[None], TWINS, axis=0)
    steps, outer = [], {}
    for taken in range(settings.inner_steps + 1):
        batch = toy_episodes(5 * TWINS, rngs[0], exogenous=exogenous, switching_cost=0.1)
        step = policy_gradient(policy, current, batch, rngs)
        outer[taken] = step.gradient
        if taken < settings.inner_steps:
            steps.append(step)
            current = current - 0.3 * step.gradient
    last = {len(steps): outer[len(steps)]}
    return backpropagate(steps, last, np.full(flat.size, 0.3), settings, second_order=True)


@pytest.mark.parametrize("exogenous", [True, False])
@pytest.mark.parametrize("kind", ["ratio", "dice", "log"])
def test_a_meta_gradient_is_the_same_on_both_engines(kind: Surrogate, *, exogenous: bool) -> None:
    ours, theirs, flat, order = shared()
    settings = MetaSettings(inner_steps=2, surrogate=kind)
    one, by_step_size = meta_gradient(ours, flat, settings, exogenous=exogenous)
    other, other_by_step_size = meta_gradient(theirs, flat[order], settings, exogenous=exogenous)
    scale = np.abs(one).max()
    np.testing.assert_allclose(other / scale, one[:, order] / scale, atol=1e-10)
    np.testing.assert_allclose(other_by_step_size, by_step_size[:, order], atol=1e-10)


def test_an_iteration_of_maml_is_the_same_on_both_engines() -> None:
    ours, theirs, flat, order = shared()
    settings = MetaSettings(inner_steps=2, episodes=5, judged="every", adapted="head")

    def rows(policy: Policy, numbers: Array) -> list[Vector]:
        def make(rngs: Sequence[np.random.Generator]) -> ToyEpisodes:
            return toy_episodes(5 * TWINS, rngs[0])

        found = adaptation_gradients(
            policy,
            numbers.astype(np.float32),
            settings.initial_log_step_sizes(policy),
            make,
            settings=settings,
            rngs=np.random.default_rng(3).spawn(TWINS),
        )
        return [np.stack([row.gradient, row.step_size_gradient]) for row in found]

    for one, other in zip(rows(ours, flat), rows(theirs, flat[order]), strict=True):
        np.testing.assert_allclose(other, one[:, order], rtol=1e-4, atol=1e-5)


WINDOW, BACK = 5, 3
MEMORY = InmfSpec(
    inmf="memory",
    observation_dim=WINDOW,
    actions=MultiBinary(1),
    slots=20,
    slot_s=1.0,
    gamma=0.9,
    gae_lambda=0.3,
    network=TorchModule("bench._networks:GruPolicy", (("window", WINDOW), ("units", 8))),
)


@dataclass(frozen=True)
class Recall:
    """A slot earns 1 if the action says whether the signal was positive `BACK` slots before."""

    signal: Rewards
    """(episodes, slots + WINDOW - 1)."""
    spec: InmfSpec = MEMORY
    exogenous: bool = True

    @property
    def episodes(self) -> int:
        return len(self.signal)

    def first_memory(self) -> Memory:
        return {}

    def observe(self, slot: int, memory: Memory) -> Observation:
        del memory
        return self.observe_all()[:, slot]

    def observe_all(self) -> Observation:
        windows = np.lib.stride_tricks.sliding_window_view(self.signal, WINDOW, axis=1)
        return windows.astype(np.float32)

    def remember(self, slot: int, memory: Memory, actions: Actions) -> Memory:
        del slot, actions
        return memory

    def rewards(self, actions: Actions) -> Rewards:
        asked = self.observe_all()[..., WINDOW - 1 - BACK] > 0.0
        return np.equal(actions[..., 0], asked).astype(np.float64)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_recurrent_network_learns_to_remember(seed: int) -> None:
    policy = Policy.of(MEMORY)
    rng = np.random.default_rng(seed)
    flat, adam = initial_parameters(policy, rng), Adam(2e-2)

    def played(episodes: int) -> Recall:
        return Recall(rng.normal(size=(episodes, MEMORY.slots + WINDOW - 1)))

    before = mean_reward(collect(policy, flat, played(100), None))
    for _ in range(15):
        rollout = collect(policy, flat, played(20), [rng])
        experience = Experience.of(rollout, linear_advantages(MEMORY, rollout))
        flat = update(policy, flat, experience, adam, settings=PpoSettings(), rng=rng)
    assert before < 0.65
    assert mean_reward(collect(policy, flat, played(100), None)) > 0.9
