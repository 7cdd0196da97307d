import csv
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.support.brokers import Server, broker_of
from twintier.launch.case_study.adaptation import adapt_over_bus
from twintier.launch.case_study.arms import ARMS, Arm, CaseStudySettings, run_arm, start_of
from twintier.launch.case_study.epochs import Curves
from twintier.launch.case_study.over_bus import train_over_bus
from twintier.launch.case_study.run import CaseStudyError, run
from twintier.launch.case_study.summary import ArmCurves, epochs_to, half_width, summarise

TINY = CaseStudySettings(
    epochs=3, source_epochs=2, episodes=2, meta_iterations=2, mixture_iterations=1, tasks=2
)
SHORT = CaseStudySettings(epochs=60, source_epochs=300, meta_iterations=60, mixture_iterations=60)


def study(out: Path, settings: CaseStudySettings = TINY, seeds: int = 2) -> dict[str, object]:
    return run(out=out, seeds=seeds, settings=settings, quiet=True)


@pytest.mark.slow
def test_a_run_leaves_the_picture_the_curves_and_the_summary(tmp_path: Path) -> None:
    summary = study(tmp_path)
    assert (tmp_path / "fig6.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "fig6.pdf").read_bytes().startswith(b"%PDF")
    assert json.loads((tmp_path / "summary.json").read_text())["seeds"] == [0, 1]
    arms = summary["arms"]
    assert isinstance(arms, dict)
    assert tuple(arms) == ARMS
    with (tmp_path / "curves.csv").open() as file:
        rows = list(csv.reader(file))
    assert len(rows) == 1 + len(ARMS) * TINY.epochs


@pytest.mark.slow
def test_a_run_keeps_the_curves_as_they_were_computed(tmp_path: Path) -> None:
    study(tmp_path, seeds=1)
    kept = load_file(tmp_path / "parts" / "arm-PPO-random-0.safetensors")
    computed = run_arm("PPO-random", start_of("random", {}, TINY, 0, nothing), TINY, 0, nothing)
    assert curves_of(Curves(kept["reward_j"], kept["entropy"])) == curves_of(computed)


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_to_the_same_curves(tmp_path: Path) -> None:
    study(tmp_path)
    whole = (tmp_path / "curves.csv").read_bytes()
    for part in ("start-meta-1", "arm-PPO-ML-1", "arm-PPO-TL-0"):
        (tmp_path / "parts" / f"{part}.safetensors").unlink()
    kept = (tmp_path / "parts" / "arm-PPO-random-0.safetensors").stat().st_mtime_ns
    study(tmp_path)
    assert (tmp_path / "curves.csv").read_bytes() == whole
    assert (tmp_path / "parts" / "arm-PPO-random-0.safetensors").stat().st_mtime_ns == kept


@pytest.mark.slow
def test_parts_of_other_settings_are_not_mixed_in(tmp_path: Path) -> None:
    study(tmp_path, seeds=1)
    with pytest.raises(CaseStudyError, match="choose another --out"):
        study(tmp_path, CaseStudySettings(epochs=4), seeds=1)


def test_a_network_that_is_not_installed_cannot_go_over_a_bus(tmp_path: Path) -> None:
    wide = CaseStudySettings(hidden=(64, 64))
    with pytest.raises(CaseStudyError, match=r"over a bus hidden \(64, 64\) cannot"):
        run(out=tmp_path, settings=wide, quiet=True, over_bus="memory")


def test_the_goal_is_a_share_of_the_converged_reward_of_ppo_random() -> None:
    ramp = np.tile(np.minimum(np.arange(100.0), 50.0), (2, 1))
    flat = np.full((2, 100), 40.0)
    arms: dict[Arm, ArmCurves] = {
        "PPO-random": ArmCurves(ramp, flat),
        "PPO-TL": ArmCurves(flat, flat),
    }
    summary = summarise(arms)
    assert summary["PPO-random"]["epochs_to_95"] == 48
    assert summary["PPO-TL"]["epochs_to_95"] is None
    assert summary["PPO-TL"]["reward_final"] == {"mean": 40.0, "ci95": 0.0}


def test_intervals_are_those_of_students_t() -> None:
    assert float(half_width(np.array([1.0, 3.0]))) == pytest.approx(12.706)
    assert float(half_width(np.array([5.0]))) == 0.0
    assert epochs_to(np.array([1.0, 2.0, 3.0]), 2.0) == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_short_study_shows_the_papers_order(tmp_path: Path) -> None:
    arms = study(tmp_path, SHORT, seeds=3)["arms"]
    assert isinstance(arms, dict)
    first = {arm: arms[arm]["reward_epoch0"] for arm in ARMS}
    last = {arm: arms[arm]["reward_final"]["mean"] for arm in ARMS}
    assert first["PPO-ML"] > 0.95 * last["PPO-random"]
    assert first["PPO-ML"] > first["PPO-random"] + 40.0
    assert first["PPO-random"] > first["PPO-TL"]
    assert last["PPO-TL"] < last["PPO-random"] < last["PPO-ML"]
    entropy = {arm: arms[arm]["entropy_first"] for arm in ARMS}
    assert entropy["PPO-random"] == pytest.approx(1.42, abs=0.03)
    assert entropy["PPO-ML"] > 1.1
    assert entropy["PPO-TL"] < 0.7
    assert entropy["PPO-TL-reset"] == pytest.approx(1.42, abs=0.05)


def nothing() -> None:
    """A tick that nobody watches."""


MIXTURE = start_of("multitask", {}, TINY, 0, nothing)


def direct() -> bytes:
    return start_of("meta", {"multitask": MIXTURE}, TINY, 0, nothing).tobytes()


def curves_of(result: Curves) -> tuple[bytes, bytes]:
    return result.reward_j.tobytes(), result.entropy.tobytes()


def test_meta_training_over_the_in_memory_bus_is_the_direct_one_bit_by_bit() -> None:
    assert train_over_bus("memory", MIXTURE, TINY, 0, nothing).tobytes() == direct()


def test_adaptation_over_the_in_memory_bus_has_the_direct_curves_bit_by_bit() -> None:
    adapted = adapt_over_bus("memory", MIXTURE, TINY, 0, nothing)
    assert adapted.reward_j.shape == (TINY.epochs,)
    assert curves_of(adapted) == curves_of(run_arm("PPO-ML", MIXTURE, TINY, 0, nothing))


@pytest.mark.slow
def test_a_study_over_the_bus_has_the_curves_of_the_direct_one(tmp_path: Path) -> None:
    study(tmp_path / "direct", seeds=1)
    run(out=tmp_path / "bus", seeds=1, settings=TINY, quiet=True, over_bus="memory")
    direct_rows, bus_rows = (
        (tmp_path / way / "curves.csv").read_bytes() for way in ("direct", "bus")
    )
    assert direct_rows == bus_rows


@pytest.mark.system
def test_a_real_broker_changes_neither_meta_model_nor_curves(tmp_path: Path) -> None:
    with broker_of("mosquitto", tmp_path) as broker:
        assert isinstance(broker, Server)
        url = broker.running.url
        trained = train_over_bus(url, MIXTURE, TINY, 0, nothing)
        adapted = adapt_over_bus(url, MIXTURE, TINY, 0, nothing)
    assert trained.tobytes() == direct()
    assert curves_of(adapted) == curves_of(run_arm("PPO-ML", MIXTURE, TINY, 0, nothing))
