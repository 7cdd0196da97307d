"""Both loops of Fig. 5 on the whole platform, in virtual time: what happens by itself."""

from pathlib import Path

from tests.support.platform import run_platform
from twintier.edge_twin.settings import EdgeSettings
from twintier.inmf.perception.world import PerceptionWorld
from twintier.launch.inspect.projection import View
from twintier.plvn_agent.source import PlvnProfile
from twintier.plvn_agent.sources.builtin import BuiltinSource
from twintier.protocol.messages import IndividualModelReported

PLVNS = 4


def models_of(view: View) -> dict[str, IndividualModelReported]:
    return {p: own.newest for (p, _), own in view.models().items() if own.newest is not None}


def world_of(source: BuiltinSource, profile: PlvnProfile) -> PerceptionWorld:
    seed = source.world_seed(profile.plvn)
    assert seed is not None
    return PerceptionWorld(profile.site, seed)


def test_every_plvn_gets_an_individual_model_and_nothing_is_lost(tmp_path: Path) -> None:
    source = BuiltinSource(PLVNS, seed=1, start_hour=12.0, constant=True)

    def everybody(view: View) -> bool:
        return len(models_of(view)) == PLVNS

    outcome = run_platform(tmp_path, source, slots=1500, until=everybody)
    models = models_of(outcome.view)
    assert sorted(models) == sorted(profile.plvn for profile in source.plvns)
    assert outcome.iterations >= 20
    assert outcome.messages.lost == 0
    assert outcome.messages.refused == 0
    for model in models.values():
        assert model.exchanges >= 2
        assert model.synthetic_slots > 0
        assert model.reward_after is not None
        assert model.bound_reward is not None
        assert model.reward_after <= model.bound_reward
    assert {model.category for model in outcome.view.library.values()} == {"", "tod=day"}


def test_nothing_is_retrained_while_nothing_changes(tmp_path: Path) -> None:
    source = BuiltinSource(2, seed=3, start_hour=12.0, constant=True)
    outcome = run_platform(tmp_path, source, slots=3000)
    assert len(models_of(outcome.view)) == 2
    assert [r.triggered.cause for r in outcome.view.retrainings] == []


def test_a_hidden_change_triggers_retraining_and_the_old_model_goes(tmp_path: Path) -> None:
    source = BuiltinSource(2, seed=122, start_hour=12.0)  # a software update is its first event
    first = min(
        event.sim_time_s
        for profile in source.plvns
        for event in world_of(source, profile).events_until(4000.0)
    )
    gone: list[str] = []

    def replaced(view: View) -> bool:
        for own in view.models().values():
            newest = own.newest
            if newest is not None and newest.replaced and newest.state == "in_force":
                gone.append(newest.replaced)
        return bool(gone)

    outcome = run_platform(tmp_path, source, slots=5000, edge=EdgeSettings(), until=replaced)
    causes = [r.triggered.cause for r in outcome.view.retrainings]
    assert causes, f"no retraining in {outcome.slots} slots; the first event is at {first:.0f} s"
    assert all(cause.trigger == "degradation" for cause in causes)
    assert all(cause.value > cause.threshold for cause in causes)
    assert min(cause.sim_time_s for cause in causes) > first
    assert gone
    assert outcome.messages.lost == 0


def test_nightfall_is_another_category_with_another_meta_model(tmp_path: Path) -> None:
    source = BuiltinSource(PLVNS, seed=2, start_hour=21.6)

    def changed(view: View) -> bool:
        return ("coop-perception", "tod=night") in view.library and any(
            r.to_model is not None for r in view.retrainings
        )

    outcome = run_platform(tmp_path, source, slots=3500, until=changed)
    causes = {r.triggered.cause.trigger for r in outcome.view.retrainings}
    assert "category_change" in causes
    assert ("coop-perception", "tod=night") in outcome.view.library
    retrained = [r for r in outcome.view.retrainings if r.to_model is not None]
    assert retrained
    assert all(r.triggered.cause.sim_time_s >= 0.4 * 3600 for r in retrained)


def test_plvns_act_by_the_baseline_while_planning_has_not_begun(tmp_path: Path) -> None:
    source = BuiltinSource(2, seed=1, start_hour=12.0, constant=True)

    def everybody_acts(view: View) -> bool:
        return len(view.models()) == 2 and all(own.reward for own in view.models().values())

    outcome = run_platform(tmp_path, source, slots=300, until=everybody_acts, absent=1)
    cloud, views = outcome.view.cloud, outcome.view.models().values()
    assert cloud is not None
    assert (cloud.phase, cloud.iterations) == ("planning", 0)
    assert outcome.slots < 300
    assert {own.performance and own.performance.policy for own in views} == {"baseline"}
    assert all(seen.vehicles is not None for seen in outcome.view.plvns.values())
