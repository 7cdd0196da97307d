"""Live rounds of each learner and of a supervised INMF, through the real cores in memory."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.platform import CLOUD, run_platform
from tests.support.plugins import install
from twintier.edge_twin.settings import EdgeSettings
from twintier.launch.inspect.projection import View
from twintier.learning.adapt import AdaptationSettings
from twintier.plvn_agent.sources.builtin import BuiltinSource

ITERATIONS = 3
FORECAST = "load-forecast"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install("twintier_forecast", tmp_path_factory.mktemp("plugin"))


def is_online(view: View) -> bool:
    return view.cloud is not None and view.cloud.phase == "online"


@pytest.mark.parametrize("learner", ["maml", "fomaml", "reptile"])
def test_a_learner_trains_the_super_model_with_twins(tmp_path: Path, learner: str) -> None:
    source = BuiltinSource(2, seed=1, start_hour=12.0, constant=True)
    cloud = replace(
        CLOUD, algorithm=learner, first_stage_iterations=0, iterations=ITERATIONS, inner_steps=2
    )
    outcome = run_platform(tmp_path, source, slots=100, cloud=cloud, until=is_online)
    assert outcome.iterations == ITERATIONS
    (model,) = outcome.view.library.values()
    assert (model.category, model.iterations) == ("", ITERATIONS)
    assert outcome.messages.lost == 0


def test_a_supervised_inmf_is_trained_and_adapted_to_labelled_slots(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(installed)
    source = BuiltinSource(2, seed=1, start_hour=12.0, constant=True)
    edge = EdgeSettings(adaptation=AdaptationSettings(updates=20), probation_blocks=2)

    def done(view: View) -> bool:
        made = [own.newest for own in view.models().values()]
        in_force = [each for each in made if each is not None and each.state == "in_force"]
        trained = [each for each in view.library.values() if each.iterations]
        return len(in_force) == 2 and bool(trained)

    outcome = run_platform(
        tmp_path,
        source,
        slots=3000,
        inmfs=[FORECAST],
        cloud=replace(CLOUD, iterations=ITERATIONS),
        edge=edge,
        until=done,
    )
    assert done(outcome.view), outcome.view.models()
    for own in outcome.view.models().values():
        model = own.newest
        assert model is not None
        assert (model.evidence, model.synthetic_slots) == ("measured", 0)
        assert model.reward_before is not None
        assert model.reward_after is not None
        assert model.reward_after > model.reward_before
        assert model.baseline_reward is not None
        assert model.reward_after > model.baseline_reward, "it predicts better than the rule"
    assert outcome.iterations == ITERATIONS
    assert outcome.messages.lost == 0
