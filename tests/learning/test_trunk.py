from functools import partial

import numpy as np
import pytest

from tests.learning.toys import ToyEpisodes, toy_episodes, toy_spec
from twintier.inmf.actor import PolicySpec
from twintier.inmf.spec import Mlp, MultiBinary
from twintier.learning.emulated import adaptation_gradient
from twintier.learning.errors import SettingsError
from twintier.learning.meta import MetaSettings
from twintier.learning.policy import Policy, Vector, initial_parameters
from twintier.learning.rollout import collect, mean_reward
from twintier.learning.trunk import (
    SharedModels,
    SharedOptimizer,
    share,
    split_gradients,
    to_split,
    trunk_of,
)

SPECS = {
    "perception": PolicySpec(13, MultiBinary(3)),
    "offloading": PolicySpec(9, MultiBinary(2)),
    "scheduling": PolicySpec(16, MultiBinary(4)),
}


def models() -> dict[str, Vector]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=spec.parameters).astype("f4") for name, spec in SPECS.items()}


def test_a_joined_model_has_its_own_ends_and_the_mean_trunk() -> None:
    before = models()
    shared = share(SPECS, before)
    joined = shared.join("offloading")
    at = trunk_of(SPECS["offloading"])
    assert at == slice(10 * 64, 10 * 64 + 65 * 64)
    np.testing.assert_array_equal(joined[: at.start], before["offloading"][: at.start])
    np.testing.assert_array_equal(joined[at.stop :], before["offloading"][at.stop :])
    trunks = [before[name][trunk_of(spec)] for name, spec in SPECS.items()]
    np.testing.assert_allclose(joined[at], np.mean(trunks, axis=0), atol=1e-6)


def test_three_inmfs_need_less_than_half_of_the_parameters() -> None:
    apart = sum(spec.parameters for spec in SPECS.values())
    assert share(SPECS, models()).parameters == apart - 2 * 65 * 64
    assert share(SPECS, models()).parameters / apart < 0.48


def test_the_trunk_gets_the_mean_of_the_inmfs_means_and_the_ends_only_their_own() -> None:
    def constant(inmf: str, value: float) -> Vector:
        return np.full(SPECS[inmf].parameters, value, np.float32)

    rows = {
        "perception": {"a": constant("perception", 1.0), "b": constant("perception", 3.0)},
        "offloading": {"a": constant("offloading", 8.0)},
    }
    trunk, own = split_gradients(SPECS, rows)
    assert set(trunk.tolist()) == {5.0}
    assert set(own["perception"].tolist()) == {2.0}
    assert set(own["offloading"].tolist()) == {8.0}


def test_different_hidden_layers_cannot_share() -> None:
    specs = {
        "a": PolicySpec(4, MultiBinary(2), Mlp((8, 8))),
        "b": PolicySpec(4, MultiBinary(2), Mlp((8, 9))),
    }
    vectors = {name: np.zeros(spec.parameters, np.float32) for name, spec in specs.items()}
    with pytest.raises(SettingsError, match="same hidden layers"):
        share(specs, vectors)


def test_one_hidden_layer_leaves_no_trunk() -> None:
    with pytest.raises(SettingsError, match="no trunk"):
        trunk_of(PolicySpec(4, MultiBinary(2), Mlp((8,))))


def test_inmfs_that_lose_more_than_the_tolerance_are_split_off() -> None:
    own = {"a": 1.0, "b": 1.0, "c": -1.0}
    assert to_split({"a": 0.985, "b": 0.97, "c": -1.03}, own) == ["b", "c"]


WIDE = {
    "one": PolicySpec(4, MultiBinary(2), Mlp((16, 16))),
    "two": PolicySpec(6, MultiBinary(3), Mlp((16, 16))),
}
POLICIES = {name: Policy.of(spec) for name, spec in WIDE.items()}
PAIRS = {"one": 2, "two": 3}


def episodes(inmf: str, rng: np.random.Generator) -> ToyEpisodes:
    return toy_episodes(10, rng, spec=toy_spec(PAIRS[inmf]))


def reward(shared: SharedModels, inmf: str) -> float:
    batch = episodes(inmf, np.random.default_rng(99))
    return mean_reward(collect(POLICIES[inmf], shared.join(inmf), batch, None))


def test_two_inmfs_learn_through_one_trunk() -> None:
    rng = np.random.default_rng(0)
    shared = share(WIDE, {name: initial_parameters(one, rng) for name, one in POLICIES.items()})
    optimizer, settings = SharedOptimizer(1e-2), MetaSettings(inner_steps=0)
    for _ in range(40):
        rows = {
            inmf: {
                plvn: adaptation_gradient(
                    policy,
                    shared.join(inmf),
                    settings.initial_log_step_sizes(policy),
                    partial(episodes, inmf),
                    settings=settings,
                    rng=rng,
                ).gradient
                for plvn in ("a", "b")
            }
            for inmf, policy in POLICIES.items()
        }
        shared = optimizer.step(shared, rows)
    assert reward(shared, "one") > 0.8 * 0.5
    assert reward(shared, "two") > 0.8 * 0.75
