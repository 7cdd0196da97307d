"""The classical rule: its targets, and its worth beside published figures."""

import numpy as np
import pytest

from bench.vnf_rules import one_slot_hidden, thresholds, wide_loads
from tests.inmf.vnf_scaling.played import simulated
from twintier.inmf.check.subject import SITE
from twintier.inmf.episodes import Actions
from twintier.inmf.vnf_scaling.bound import Clairvoyant
from twintier.inmf.vnf_scaling.calibration import VnfCalibration
from twintier.inmf.vnf_scaling.episodes import LoadTrace, VnfEpisodes
from twintier.inmf.vnf_scaling.inmf import VnfScaling
from twintier.inmf.vnf_scaling.rule import Provisioning, choice_for
from twintier.inmf.vnf_scaling.slots import Loads

STEADY = Loads(np.full((1, 3), 4.0), np.array([4.0]), np.array([0.25]), np.ones(1))


@pytest.fixture(scope="module")
def published() -> tuple[VnfEpisodes, float]:
    """Episodes of the published figures, and their bound."""
    rng = np.random.default_rng(0)
    batch = VnfEpisodes(LoadTrace.of(wide_loads(128, rng)), one_slot_hidden(128, rng))
    return batch, float(Clairvoyant()(batch).mean())


def share(batch: VnfEpisodes, bound: float, actions: Actions) -> float:
    return float(batch.rewards(actions).sum(axis=1).mean()) / bound


@pytest.mark.parametrize(
    ("target", "choice"), [(1.0, 1), (4.0, 1), (5.0, 0), (6.0, 2), (7.0, 3), (12.0, 3)]
)
def test_a_target_is_approached_as_fast_as_choices_allow(target: float, choice: int) -> None:
    assert choice_for(np.array(target), np.array(5.0)) == choice


def test_the_target_is_the_mean_and_some_deviations_rounded_up() -> None:
    assert Provisioning(margin=1.5).target(STEADY, np.array([3.0])).tolist() == [5.0]
    assert Provisioning(margin=2.0).target(STEADY, np.array([3.0])).tolist() == [5.0]
    assert Provisioning(margin=2.5).target(STEADY, np.array([3.0])).tolist() == [6.0]


def test_patience_keeps_an_instance_too_many() -> None:
    patient = Provisioning(margin=2.0, patience=2)
    assert patient.target(STEADY, np.array([6.0])).tolist() == [6.0]
    assert patient.target(STEADY, np.array([7.0])).tolist() == [5.0]


def test_shares_of_the_bound_are_near_the_published_ones(
    published: tuple[VnfEpisodes, float],
) -> None:
    # The published bound lies on a coarser grid of backlogs, and the figures are of one seed.
    batch, bound = published
    assert bound == pytest.approx(54.23, abs=2.0)
    assert share(batch, bound, thresholds(batch, 0.9, 0.6)) == pytest.approx(0.737, abs=0.06)
    assert share(batch, bound, thresholds(batch, 1.05, 0.5)) == pytest.approx(0.777, abs=0.06)
    assert share(batch, bound, Provisioning(1.5).actions(batch)) == pytest.approx(0.799, abs=0.06)


def test_the_rule_beats_thresholds_under_hidden_lags(published: tuple[VnfEpisodes, float]) -> None:
    batch, bound = published
    hidden = VnfCalibration().prior(batch.episodes, np.random.default_rng(1))
    late = VnfEpisodes(batch.trace, hidden)
    rule = share(late, bound, Provisioning().actions(late))
    assert rule > 0.6
    assert rule > share(late, bound, thresholds(late, 0.9, 0.6)) + 0.2


def test_slot_by_slot_the_rule_does_what_it_does_at_once() -> None:
    columns, hidden = simulated(200)
    replay = VnfScaling().emulator(SITE).replay(columns, hidden[None])
    assert replay is not None
    at_once = Provisioning().actions(replay)
    assert at_once.reshape(-1).tolist() == columns["action"].reshape(-1).tolist()
