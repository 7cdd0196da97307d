"""Greedy play of a policy on common traces."""

import numpy as np
import pytest

from twintier.inmf.actor import Actor, PolicySpec
from twintier.inmf.evaluate import greedy_actions, mean_reward
from twintier.inmf.mobility import Presence
from twintier.inmf.perception.condition import draw_conditions
from twintier.inmf.perception.emulator import EmulatorParameters, draw_trace
from twintier.inmf.perception.live import COOP_PERCEPTION, LiveEpisodes, before
from twintier.inmf.perception.paper import PaperEpisodes, pattern
from twintier.inmf.spec import MultiBinary


def random_actor(observation_dim: int, seed: int) -> Actor:
    spec = PolicySpec(observation_dim, MultiBinary(3))
    rng = np.random.default_rng(seed)
    return Actor(spec, rng.normal(0.0, 0.5, spec.parameters).astype(np.float32))


def test_before_the_first_slot_nobody_cooperates() -> None:
    modes = np.array([[[True, False], [False, True], [True, True]]])
    expected = [[[False, False], [True, False], [False, True]]]
    assert before(modes).tolist() == expected


def test_exogenous_episodes_are_played_as_slot_by_slot() -> None:
    batch = PaperEpisodes(pattern(5.0), 4, np.random.default_rng(1))
    actor = random_actor(7, 2)
    modes = greedy_actions(actor, batch)
    assert 0.05 < modes.mean() < 0.95
    for slot in range(75):
        assert (actor.act(batch.observe(slot, {})) == modes[:, slot]).all()


def test_live_episodes_are_played_with_the_modes_before() -> None:
    rng = np.random.default_rng(3)
    parameters = EmulatorParameters(presence=(Presence(0.3, 0.2), Presence(), Presence()))
    trace = draw_trace(parameters, 4, COOP_PERCEPTION.slots, rng)
    batch = LiveEpisodes(trace, draw_conditions(4, rng))
    actor = random_actor(13, 4)
    modes = greedy_actions(actor, batch)
    assert 0.05 < modes.mean() < 0.95
    seen = batch.observe_after(before(modes.astype(bool) & trace.present))
    margin = np.abs(actor.outputs(seen)) > 1e-5
    assert ((actor.act(seen) == modes) | ~margin).all()


def test_mean_reward_is_a_slot_s() -> None:
    batch = PaperEpisodes(pattern(6.0), 4, np.random.default_rng(5))
    modes = np.random.default_rng(6).random(batch.objects.shape) < 0.5
    by_hand = batch.rewards(modes).sum() / (4 * 75)
    assert mean_reward(batch, modes) == pytest.approx(by_hand)
