"""An INMF and a source of another package: installed, checked, and run without an emulator."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.platform import CLOUD, EDGE, Outcome, run_platform
from tests.support.plugins import install, with_path
from twintier.broker.servers.mosquitto import find_mosquitto
from twintier.launch import deployment
from twintier.launch.exit_codes import ExitCode
from twintier.launch.inspect.projection import View
from twintier.plvn_agent.sources.registry import SourceOptions, kind_of
from twintier.protocol.messages import IndividualModelReported

NAME = "cart-pole"
PLVNS = 2
REAL_TIME = 1.0
MARGIN = 0.1
"""What adaptation must add to a slot's mean reward; the pole upright in the middle earns 1."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install("twintier_cartpole", tmp_path_factory.mktemp("plugin"))


def twintier(installed: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "twintier", *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env=with_path(installed),
    )


def models_of(view: View) -> dict[str, IndividualModelReported]:
    return {p: own.newest for (p, _), own in view.models().items() if own.newest is not None}


def are_in_force(view: View) -> bool:
    states = [model.state for model in models_of(view).values()]
    return states == ["in_force"] * PLVNS


@pytest.fixture
def repeatable(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put it on the path, and count incarnations, of which sampled actions follow."""
    monkeypatch.syspath_prepend(installed)
    counted = (f"{number:026d}" for number in itertools.count())
    monkeypatch.setattr(deployment, "new_incarnation", lambda: next(counted))


def run(state: Path, seed: int, *, until_retrained: bool = False) -> Outcome:
    source = kind_of(NAME).make(SourceOptions(NAME, plvns=PLVNS, seed=seed))

    def until(view: View) -> bool:
        made_again = any(each.to_model is not None for each in view.retrainings)
        return made_again if until_retrained else are_in_force(view)

    return run_platform(
        state,
        source,
        slots=9000,
        inmfs=[NAME],
        speed=REAL_TIME,
        cloud=CLOUD,
        edge=EDGE,
        until=until,
    )


def test_it_is_listed_shown_and_keeps_the_contract(installed: Path) -> None:
    listed = twintier(installed, "inmf", "list", "-o", "json")
    rows = {row["id"]: row for row in json.loads(listed.stdout)}
    assert rows[NAME]["package"] == "twintier-cartpole"
    shown = twintier(installed, "inmf", "show", NAME, "-o", "json")
    assert json.loads(shown.stdout) == rows[NAME]
    checked = twintier(installed, "inmf", "check", NAME, "-o", "json")
    assert checked.returncode == ExitCode.OK, checked.stdout
    findings = json.loads(checked.stdout)
    assert [each["name"] for each in findings if not each["ok"]] == []
    assert {each["what"].partition(":")[0] for each in findings} >= {"not stated"}


def test_an_unknown_one_cannot_be_checked(installed: Path) -> None:
    checked = twintier(installed, "inmf", "check", "cart-poll")
    assert checked.returncode == ExitCode.UNKNOWN
    assert "did you mean cart-pole?" in checked.stderr


@pytest.mark.usefixtures("repeatable")
def test_it_is_learned_from_true_slots_alone(tmp_path: Path) -> None:
    gains: list[float] = []
    for seed in (1, 2, 3):
        outcome = run(tmp_path / str(seed), seed)
        assert are_in_force(outcome.view), f"seed {seed}: {models_of(outcome.view)}"
        assert outcome.view.cloud is not None
        assert outcome.view.cloud.phase == "online"
        assert outcome.messages.lost == 0
        assert outcome.iterations > 0, "no meta iteration from stored trajectories"
        for model in models_of(outcome.view).values():
            assert model.evidence == "measured"
            assert model.synthetic_slots == 0
            assert model.bound_reward is None
            assert model.reward_before is not None
            assert model.reward_after is not None
            gains.append(model.reward_after - model.reward_before)
    assert np.mean(gains) > MARGIN, gains


@pytest.mark.usefixtures("repeatable")
def test_a_hidden_change_retrains_it(tmp_path: Path) -> None:
    outcome = run(tmp_path, 2, until_retrained=True)
    made = [each for each in outcome.view.retrainings if each.to_model is not None]
    assert made, f"nothing was retrained in {outcome.slots} slots"
    for each in made:
        cause = each.triggered.cause
        assert (cause.trigger, cause.statistic) == ("degradation", "cusum_reward")
        assert cause.value > cause.threshold
        assert cause.sim_time_s > 80.0, "the winds change between 80 s and 90 s"
        assert models_of(outcome.view)[each.plvn].origin == "present_model"
    assert outcome.messages.lost == 0


@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
def test_the_demo_runs_it_on_a_broker(installed: Path, tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    chosen = ["--inmf", NAME, "--source", NAME, "--plvns", str(PLVNS), "--broker", "mosquitto"]
    ran = twintier(
        installed,
        "demo",
        *chosen,
        *("--speed", "5", "--duration", "20", "--summary", str(summary)),
    )
    assert ran.returncode == ExitCode.OK, ran.stderr
    found = json.loads(summary.read_text(encoding="utf-8"))
    assert {model["evidence"] for model in found["individual_models"]} == {"measured"}
    assert len(found["individual_models"]) == PLVNS
    assert found["messages"]["lost"] == 0
