"""The clairvoyant bound of `live`, and what an absent pair means to it."""

import numpy as np
import pytest

from twintier.inmf.mobility import Presence
from twintier.inmf.perception.baselines import enumerate_live, settled_aimd_actions
from twintier.inmf.perception.bound import clairvoyant, clairvoyant_modes
from twintier.inmf.perception.condition import draw_conditions
from twintier.inmf.perception.emulator import EmulatorParameters, draw_trace
from twintier.inmf.perception.live import LiveEpisodes
from twintier.inmf.trajectory import Array, Mask, Trace

COMING_AND_GOING = EmulatorParameters(presence=(Presence(0.3, 0.2), Presence(), Presence(0.1, 0.1)))


def totals(batch: LiveEpisodes, modes: Mask) -> Array:
    return np.asarray(batch.rewards(modes).sum(axis=1))


@pytest.fixture(name="batch", scope="module")
def _batch() -> LiveEpisodes:
    rng = np.random.default_rng(3)
    return LiveEpisodes(draw_trace(COMING_AND_GOING, 60, 40, rng), draw_conditions(60, rng))


def test_its_modes_earn_what_it_promises(batch: LiveEpisodes) -> None:
    modes, promised = clairvoyant_modes(batch), clairvoyant(batch)
    assert totals(batch, modes) == pytest.approx(promised, abs=1e-9)
    assert not (modes & ~batch.trace.present).any()


def test_nobody_earns_more(batch: LiveEpisodes) -> None:
    bound = clairvoyant(batch) + 1e-9
    rng = np.random.default_rng(4)
    for share in (0.0, 0.3, 0.5, 1.0):
        played = rng.random(batch.trace.present.shape) < share
        assert (totals(batch, played) <= bound).all()
    assert (totals(batch, settled_aimd_actions(batch)) <= bound).all()


def test_planning_ahead_beats_the_next_slot_where_changing_costs() -> None:
    rng = np.random.default_rng(5)
    trace = draw_trace(COMING_AND_GOING, 40, 40, rng)
    condition = draw_conditions(1, rng)[0]
    batch = LiveEpisodes(trace, condition)
    gap = clairvoyant(batch) - totals(batch, enumerate_live(batch, condition))
    assert gap.min() > -1e-9
    assert gap.mean() > 0.1


def test_two_slots_are_planned_as_by_trying_everything() -> None:
    rng = np.random.default_rng(6)
    whole = draw_trace(COMING_AND_GOING, 25, 2, rng)
    condition = draw_conditions(1, rng)[0]
    batch, best = LiveEpisodes(whole, condition), np.full(25, -np.inf)
    for code in range(64):
        bits = ((code >> np.arange(6)) & 1).astype(bool).reshape(2, 3)
        played = np.broadcast_to(bits, whole.present.shape)
        best = np.maximum(best, totals(batch, played))
    assert clairvoyant(batch) == pytest.approx(best, abs=1e-9)


def test_a_pair_that_was_away_pays_for_going_to_cp() -> None:
    present = np.array([[[True, False, False], [False, False, False], [True, False, False]]])
    ones = np.ones((1, 3, 3))
    trace = Trace(np.full((1, 3), 6e6), 6 * ones, 12 * ones, present)
    condition = draw_conditions(1, np.random.default_rng(7))[0]
    chosen = np.ones((1, 3, 3), bool)
    batch = LiveEpisodes(trace, condition)
    reward = batch.rewards(chosen)[0]
    assert reward[0] == pytest.approx(reward[2])
    assert reward[1] == 0.0
    memory = batch.remember(1, batch.first_memory(), chosen[:, 1])
    assert batch.observe(2, memory)[0, 7:10].tolist() == [0.0, 0.0, 0.0]
