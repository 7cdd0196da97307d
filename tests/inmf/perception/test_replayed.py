"""True slots replayed: where measured rewards stand, and what a pair that was away is to them."""

from dataclasses import replace

import numpy as np
import pytest

from tests.edge_twin.played import CLEAR, RAIN, played
from twintier.inmf.perception.assisted import AssistedEpisodes
from twintier.inmf.perception.live import before
from twintier.inmf.perception.replayed import ReplayedEpisodes, in_episodes
from twintier.inmf.trajectory import Trajectories


def done(slots: int = 160) -> Trajectories:
    whole = in_episodes(played(CLEAR, slots, 1), 75)
    assert whole is not None
    return whole


def test_the_newest_slots_become_whole_episodes() -> None:
    long = played(CLEAR, 160, 1)
    cut = done()
    assert cut.reward_j.shape == (2, 75)
    assert cut.reward_j.ravel().tolist() == long.reward_j[0, 10:].tolist()
    assert cut.trace.objects[1].tolist() == long.trace.objects[0, 85:].tolist()


def test_too_few_slots_are_no_episode() -> None:
    assert in_episodes(played(CLEAR, 74, 1), 75) is None


def test_what_the_vehicle_did_is_measured_and_all_else_emulated() -> None:
    slots = done()
    slots = replace(slots, modes_before=before(slots.modes))
    batch, emulated = ReplayedEpisodes(slots, RAIN), AssistedEpisodes(slots.trace, RAIN)
    rewards, measured = batch.measured(slots.modes)
    assert measured.all()
    assert rewards.tolist() == slots.reward_j.tolist()
    other = slots.modes.copy()
    other[0, 7] = ~other[0, 7]
    rewards, measured = batch.measured(other)
    assert np.argwhere(~measured).tolist() == [[0, 7], [0, 8]]
    assert rewards[~measured].tolist() == emulated.rewards(other)[~measured].tolist()


def test_a_pair_that_was_away_had_no_mode_whatever_the_policy_says() -> None:
    slots = done()
    present = slots.trace.present.copy()
    present[:, 3, 0] = False
    trace = replace(slots.trace, present=present)
    modes = slots.modes & present
    slots = replace(slots, trace=trace, modes=modes, modes_before=before(modes))
    batch = ReplayedEpisodes(slots, CLEAR)
    assert batch.measured(modes | ~present)[1].all()


def test_an_exchange_that_begins_in_the_middle_is_measured_only_from_its_own_modes() -> None:
    slots = done()
    first = slots.modes_before[:, 0].any(axis=-1)
    _, measured = ReplayedEpisodes(slots, CLEAR).measured(slots.modes)
    assert measured[:, 0].tolist() == (~first).tolist()
    assert measured[:, 1:].all()
    assert measured.mean() == pytest.approx(1.0, abs=0.02)
