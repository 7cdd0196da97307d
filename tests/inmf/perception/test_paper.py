"""Variant `paper` against the reference table: 400 episodes of 75 slots each."""

import numpy as np
import pytest

from twintier.inmf.perception.baselines import enumerate_live, enumerate_paper
from twintier.inmf.perception.bound import clairvoyant
from twintier.inmf.perception.condition import Condition
from twintier.inmf.perception.live import LiveEpisodes, before
from twintier.inmf.perception.paper import (
    COOP_PERCEPTION_PAPER,
    MEANS_MHZ,
    PaperEpisodes,
    PaperSettings,
    draw_pattern,
    pattern,
)
from twintier.inmf.trajectory import Mask, ShapeError, Trace

EPISODES = 400
BEST = {5.0: 108.0, 6.0: 125.7, 7.0: 138.7}
ALWAYS_CP = {5.0: -139.0, 6.0: 92.2, 7.0: 133.7}
RANDOM = {5.0: 38.8, 6.0: 72.3, 7.0: 79.8}
ONE_SLOT_OLD = {5.0: 91.5, 6.0: 110.9, 7.0: 127.5}
MYOPIC = {5.0: 93.7, 6.0: 111.4, 7.0: 131.7}
PLANNED = {5.0: 98.7, 6.0: 116.0, 7.0: 133.2}
COSTLY = Condition(switching_cost_j=0.4)

Batches = dict[float, PaperEpisodes]


@pytest.fixture(name="batches", scope="module")
def _batches() -> Batches:
    return {
        mean: PaperEpisodes(pattern(mean), EPISODES, np.random.default_rng(int(mean)))
        for mean in MEANS_MHZ
    }


def total_j(batch: PaperEpisodes, modes: Mask) -> float:
    return float(batch.rewards(modes).sum(axis=1).mean())


def as_live(batch: PaperEpisodes) -> Trace:
    there = np.ones(batch.objects.shape, bool)
    return Trace(batch.bandwidth_hz, batch.objects, batch.distance_m, there)


@pytest.mark.parametrize("mean", MEANS_MHZ)
def test_enumeration_is_the_clairvoyant_bound(batches: Batches, mean: float) -> None:
    batch = batches[mean]
    enumerated = total_j(batch, enumerate_paper(batch))
    assert enumerated == pytest.approx(BEST[mean], rel=0.01)
    free = Condition(switching_cost_j=0.0)
    bound = float(clairvoyant(LiveEpisodes(as_live(batch), free)).mean())
    assert enumerated == pytest.approx(bound, abs=1e-6)


@pytest.mark.parametrize("mean", MEANS_MHZ)
def test_cooperating_always_is_worth_what_the_table_says(batches: Batches, mean: float) -> None:
    everyone = np.ones(batches[mean].objects.shape, bool)
    assert total_j(batches[mean], everyone) == pytest.approx(ALWAYS_CP[mean], abs=5.0)


@pytest.mark.parametrize("mean", MEANS_MHZ)
def test_random_modes_are_worth_what_the_table_says(batches: Batches, mean: float) -> None:
    batch = batches[mean]
    rng = np.random.default_rng(1)
    several = [total_j(batch, rng.random(batch.objects.shape) < 0.5) for _ in range(10)]
    assert np.mean(several) == pytest.approx(RANDOM[mean], rel=0.01)


@pytest.mark.parametrize("mean", MEANS_MHZ)
def test_the_best_modes_of_the_slot_before_lose_what_the_table_says(
    batches: Batches, mean: float
) -> None:
    batch = batches[mean]
    late = before(enumerate_paper(batch))
    assert total_j(batch, late) == pytest.approx(ONE_SLOT_OLD[mean], rel=0.01)


@pytest.mark.parametrize("mean", MEANS_MHZ)
def test_a_switching_cost_separates_planning_from_myopia(batches: Batches, mean: float) -> None:
    episodes = LiveEpisodes(as_live(batches[mean]), COSTLY)
    myopic = enumerate_live(episodes, COSTLY)
    earned = float(episodes.rewards(myopic).sum(axis=1).mean())
    assert earned == pytest.approx(MYOPIC[mean], rel=0.01)
    assert float(clairvoyant(episodes).mean()) == pytest.approx(PLANNED[mean], rel=0.01)


def test_the_two_tasks_conflict(batches: Batches) -> None:
    scarce = enumerate_paper(batches[5.0]).sum(axis=-1)
    ample = enumerate_paper(batches[7.0]).sum(axis=-1)
    assert (scarce == 2).mean() == pytest.approx(0.87, abs=0.01)
    assert (ample == 3).mean() == pytest.approx(0.61, abs=0.01)


def test_nobody_beats_enumeration_in_any_slot(batches: Batches) -> None:
    batch = batches[6.0]
    best = enumerate_paper(batch)
    limit = batch.rewards(best) + 1e-9
    rng = np.random.default_rng(2)
    for share in (0.2, 0.5, 0.8):
        played = rng.random(best.shape) < share
        assert (batch.rewards(played) <= limit).all()


def test_the_switching_cost_is_paid_by_every_pair_that_changes() -> None:
    free = PaperEpisodes(pattern(6.0), 5, np.random.default_rng(3))
    costly = PaperEpisodes(pattern(6.0), 5, np.random.default_rng(3), PaperSettings(0.4))
    modes = np.random.default_rng(4).random(free.objects.shape) < 0.5
    changes = (modes != before(modes)).sum(axis=-1)
    less = free.rewards(modes) - costly.rewards(modes)
    assert less == pytest.approx(0.4 * changes)


def test_every_choice_is_scored_after_what_was_played() -> None:
    batch = PaperEpisodes(pattern(6.0), 5, np.random.default_rng(3), PaperSettings(0.4))
    modes = np.random.default_rng(4).random(batch.objects.shape) < 0.5
    index = (modes * (1 << np.arange(3))).sum(axis=-1)
    scores = batch.scores(modes)
    of_played = np.take_along_axis(scores, index[..., None], axis=-1)[..., 0]
    assert of_played == pytest.approx(batch.rewards(modes), abs=1e-6)
    assert scores[..., 0] == pytest.approx(-0.4 * before(modes).sum(axis=-1))


def test_an_observation_holds_scaled_bandwidth_workloads_and_distances() -> None:
    batch = PaperEpisodes(pattern(5.0), 3, np.random.default_rng(5))
    seen = batch.observe_all()
    assert seen.shape == (3, 75, 7)
    assert seen[:, 0, 1:].tolist() == [[1.0, 1.0, 1.0, 0.0, 0.0, 0.0]] * 3
    expected = (batch.bandwidth_hz / 1e6 - 2.0) / 5.0
    assert seen[..., 0] == pytest.approx(expected, abs=1e-6)
    assert seen[..., 1:4] == pytest.approx((batch.objects - 4.0) / 4.0, abs=1e-6)
    assert seen[..., 4:] == pytest.approx((batch.distance_m - 6.0) / 24.0, abs=1e-6)


def test_the_slot_form_sees_what_the_batch_sees() -> None:
    batch = PaperEpisodes(pattern(7.0), 4, np.random.default_rng(6))
    whole, memory = batch.observe_all(), batch.first_memory()
    for slot in range(batch.spec.slots):
        assert (batch.observe(slot, memory) == whole[:, slot]).all()
        memory = batch.remember(slot, memory, np.ones((4, 3), bool))


def test_a_task_keeps_its_pattern_in_all_episodes() -> None:
    rng = np.random.default_rng(7)
    means = draw_pattern(rng)
    assert set(means.tolist()) == set(MEANS_MHZ)
    batch = PaperEpisodes(means, 2000, rng)
    assert batch.bandwidth_hz.mean(axis=0) / 1e6 == pytest.approx(means, abs=0.03)
    assert batch.bandwidth_hz.std(axis=0) / 1e6 == pytest.approx(np.full(75, 0.3), abs=0.02)


def test_each_episode_may_have_its_own_pattern() -> None:
    patterns = np.stack([pattern(5.0), pattern(7.0)])
    batch = PaperEpisodes(patterns, 2, np.random.default_rng(8))
    assert (batch.bandwidth_hz[1] > batch.bandwidth_hz[0]).all()


def test_patterns_of_another_length_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"patterns \(74,\) must be \(75,\) or \(2, 75\)"):
        PaperEpisodes(np.full(74, 5.0), 2, np.random.default_rng(9))


def test_the_declared_discounting_is_the_case_study_s() -> None:
    spec = COOP_PERCEPTION_PAPER
    assert (spec.observation_dim, spec.action_dim, spec.slots) == (7, 3, 75)
    assert (spec.gamma, spec.gae_lambda) == (0.99, 0.97)
