"""Learners and aggregators are found by name, and other packages may bring their own."""

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from tests.learning.bandits import Bandit
from tests.learning.rounds import SETTINGS, meta_gradients
from twintier.inmf.actor import PolicySpec
from twintier.inmf.spec import Discrete, Mlp
from twintier.learning import plugins
from twintier.learning.aggregate import Vector
from twintier.learning.aggregators.registry import aggregator_of
from twintier.learning.emulated import adaptation_gradient
from twintier.learning.errors import SettingsError
from twintier.learning.learners.registry import learner_of
from twintier.learning.meta import MetaGradient, MetaSettings, Rounds
from twintier.learning.policy import Policy, initial_parameters
from twintier.learning.teacher import teacher_gradient


@pytest.mark.parametrize("name", ["maml", "fomaml", "reptile", "teacher"])
def test_every_learner_is_found_by_its_name(name: str) -> None:
    assert learner_of(name).name == name


def test_a_learner_that_is_not_installed_is_refused_with_those_that_are() -> None:
    with pytest.raises(SettingsError, match=r"'mamal' is not installed.*fomaml, maml, reptile"):
        learner_of("mamal")


class Sleeper:
    """A learner of another package that contributes nothing."""

    name = "sleeper"

    def check(self, settings: MetaSettings) -> None:
        if settings.inner_steps > 2:
            raise SettingsError("sleeper tires after 2 inner steps")

    def gradients(
        self, rounds: Rounds, parameters: Vector, log_step_sizes: Vector, settings: MetaSettings
    ) -> list[MetaGradient]:
        del log_step_sizes, settings
        nothing = np.zeros_like(parameters)
        return [MetaGradient(nothing, nothing, 0.0, 0.0, 0.0, 0)] * rounds.twins


class Nameless:
    pass


@pytest.fixture(name="install")
def _install(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    def install(name: str, value: str) -> None:
        entry = EntryPoint(name, f"{__name__}:{value}", "twintier.learner")
        monkeypatch.setattr(plugins, "installed", lambda _: {name: entry})
        monkeypatch.setattr(EntryPoint, "load", lambda _: globals()[value])
        learner_of.cache_clear()

    return install


@pytest.fixture(autouse=True)
def _forget() -> object:
    yield
    learner_of.cache_clear()


def test_a_learner_of_another_package_serves_a_round(install: Callable[[str, str], None]) -> None:
    install("sleeper", "Sleeper")
    results = meta_gradients([1, 2], replace(SETTINGS, algorithm="sleeper"))
    assert [result.slots for result in results] == [0, 0]
    with pytest.raises(SettingsError, match="tires"):
        meta_gradients([1], replace(SETTINGS, algorithm="sleeper", inner_steps=3))


def test_what_is_no_learner_is_refused(install: Callable[[str, str], None]) -> None:
    install("nameless", "Nameless")
    with pytest.raises(SettingsError, match="gives no learner"):
        learner_of("nameless")


def test_the_teacher_is_a_learner_without_adaptation() -> None:
    space, rng = Discrete(3), np.random.default_rng(0)
    policy = Policy.of(PolicySpec(2, space, Mlp((6,))))
    flat = initial_parameters(policy, rng)
    settings = MetaSettings("teacher", episodes=2)
    result = adaptation_gradient(
        policy,
        flat,
        settings.initial_log_step_sizes(policy),
        lambda generator: Bandit.draw(space, 2, generator),
        settings=settings,
        rng=np.random.default_rng(1),
    )
    alone = np.random.default_rng(1)
    expected = teacher_gradient(policy, flat, Bandit.draw(space, 2, alone), alone)
    assert result.gradient.tolist() == expected.gradient.tolist()
    assert not result.step_size_gradient.any()


def rows(*values: float) -> dict[str, Vector]:
    return {f"p{n}": np.array([value, 1.0], np.float32) for n, value in enumerate(values)}


@pytest.mark.parametrize(
    ("name", "expected"), [("mean", 5.0), ("median", 2.0), ("trimmed-mean", 3.0)]
)
def test_aggregators_differ_in_what_an_extreme_row_does(name: str, expected: float) -> None:
    combined, refused = aggregator_of(name).combine(rows(1.0, 2.0, 2.0, 5.0, 15.0))
    assert combined.tolist() == [expected, 1.0]
    assert refused == {}


@pytest.mark.parametrize("name", ["mean", "median", "trimmed-mean"])
def test_no_aggregator_lets_in_what_cannot_be_trusted(name: str) -> None:
    combined, refused = aggregator_of(name).combine(rows(np.nan, 3.0, 3.0))
    assert combined.tolist() == [3.0, 1.0]
    assert refused == {"p0": "a number is not finite"}
    assert aggregator_of(name).combine(rows(np.inf))[0].tolist() == [0.0, 0.0]
    with pytest.raises(SettingsError, match="at least one twin"):
        aggregator_of(name).combine({})
