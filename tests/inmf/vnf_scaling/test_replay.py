"""True slots as episodes on which other orders are tried."""

import numpy as np

from tests.inmf.vnf_scaling.played import simulated
from twintier.inmf.check.subject import SITE
from twintier.inmf.contract import Columns
from twintier.inmf.spec import Array
from twintier.inmf.vnf_scaling.emulator import expert
from twintier.inmf.vnf_scaling.inmf import VnfScaling
from twintier.inmf.vnf_scaling.replay import VnfReplay

HOLD, UP = 0, 2


def replayed(columns: Columns, hidden: Array) -> VnfReplay:
    made = expert(SITE).replay(columns, hidden[None])
    assert made is not None
    return made


def done(columns: Columns, replay: VnfReplay) -> np.typing.NDArray[np.int64]:
    newest = columns["action"][-replay.episodes * 100 :]
    return newest.reshape(replay.episodes, 100, 1).astype(np.int64)


def test_the_same_orders_earn_what_was_measured_even_where_the_form_is_wrong() -> None:
    columns, hidden = simulated(230, strength=1.0)
    replay = replayed(columns, hidden)
    rewards, own = replay.measured(done(columns, replay))
    assert replay.episodes == 2
    assert own.all()
    assert np.array_equal(rewards.reshape(-1), columns["reward"][-200:])


def test_the_same_orders_are_seen_as_the_plvn_saw_them() -> None:
    columns, hidden = simulated(200)
    replay, actions = replayed(columns, hidden), None
    actions = done(columns, replay)
    seen = VnfScaling().observe(columns).reshape(2, 100, -1)
    memory = replay.first_memory()
    for slot in range(100):
        assert np.allclose(replay.observe(slot, memory), seen[:, slot], atol=1e-6)
        memory = replay.remember(slot, memory, actions[:, slot])


def test_another_order_is_emulated_until_the_course_is_the_same_again() -> None:
    columns, hidden = simulated(100)
    replay = replayed(columns, hidden)
    actions = done(columns, replay)
    other = actions.copy()
    other[0, 40] = HOLD if actions[0, 40, 0] == UP else UP
    rewards, own = replay.measured(other)
    assert own[0, :40].all()
    assert not own[0, 40]
    assert np.array_equal(rewards[0, :40], columns["reward"][:40])
    assert rewards[0, 40] == replay.rewards(other)[0, 40]


def test_fewer_slots_than_an_episode_are_not_replayed() -> None:
    columns, hidden = simulated(99)
    assert expert(SITE).replay(columns, hidden[None]) is None
