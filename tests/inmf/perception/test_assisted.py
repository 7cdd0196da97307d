"""Assisted observations: closed forms, what they leave out, and that batch and slot agree."""

import numpy as np

from twintier.inmf.actor import Actor, PolicySpec
from twintier.inmf.mobility import Presence
from twintier.inmf.perception.assisted import (
    COOP_PERCEPTION_ASSISTED,
    AssistedEpisodes,
    observe_assisted,
)
from twintier.inmf.perception.condition import Condition, draw_conditions
from twintier.inmf.perception.emulator import EmulatorParameters, draw_trace
from twintier.inmf.perception.live import MODES_BEFORE, observe
from twintier.inmf.perception.physics import NOMINAL, pair_terms, physics_of
from twintier.inmf.spec import MultiBinary
from twintier.learning.policy import Policy, initial_parameters
from twintier.learning.rollout import collect

PARAMETERS = EmulatorParameters(presence=(Presence(0.3, 0.2),) * 3)


def batch(seed: int = 1) -> AssistedEpisodes:
    rng = np.random.default_rng(seed)
    trace = draw_trace(PARAMETERS, 6, COOP_PERCEPTION_ASSISTED.slots, rng)
    return AssistedEpisodes(trace, draw_conditions(6, rng))


def test_the_plain_observation_comes_first() -> None:
    objects, distance = np.array([4.0, 6.0, 8.0]), np.array([6.0, 30.0, 12.0])
    present, before = np.array([True, False, True]), np.array([True, True, False])
    seen = observe_assisted(5e6, objects, distance, present, before)
    assert seen.shape == (19,)
    assert np.array_equal(seen[:13], observe(5e6, objects, distance, present, before))


def test_need_is_nominal_bandwidth_over_an_equal_share() -> None:
    objects, distance = np.array([4.0, 6.0, 8.0]), np.array([6.0, 30.0, 12.0])
    everybody = np.ones(3, bool)
    seen = observe_assisted(6e6, objects, distance, everybody, everybody)
    least = pair_terms(physics_of(NOMINAL.as_array()), objects, distance).least_hz
    assert np.allclose(seen[13:16], least / 2e6, rtol=1e-6)


def test_gain_shares_grow_with_the_cube_of_objects_and_leave_absent_pairs_out() -> None:
    objects, present = np.array([2.0, 5.0, 4.0]), np.array([True, False, True])
    seen = observe_assisted(6e6, objects, np.full(3, 20.0), present, present)
    assert np.allclose(seen[16:19], [8 / 72, 0.0, 64 / 72])
    assert seen[14] == 0.0


def test_no_object_and_no_bandwidth_stay_finite() -> None:
    seen = observe_assisted(0.0, np.zeros(3), np.zeros(3), np.ones(3, bool), np.zeros(3, bool))
    assert np.isfinite(seen).all()
    assert seen[13:].tolist() == [0.0] * 6


def test_hidden_conditions_do_not_show() -> None:
    episodes = batch()
    other = AssistedEpisodes(episodes.trace, Condition(feature_factor=1.5))
    before = np.zeros(episodes.trace.present.shape, bool)
    assert np.array_equal(episodes.observe_after(before), other.observe_after(before))


def test_slots_of_a_batch_are_single_slots() -> None:
    episodes = batch()
    rng = np.random.default_rng(2)
    before = rng.random(episodes.trace.present.shape) < 0.5
    whole, trace = episodes.observe_after(before), episodes.trace
    for slot in (0, 7, 74):
        assert np.array_equal(
            episodes.observe(slot, {MODES_BEFORE: before[:, slot]}), whole[:, slot]
        )
        alone = observe_assisted(
            float(trace.bandwidth_hz[3, slot]),
            trace.objects[3, slot],
            trace.distance_m[3, slot],
            trace.present[3, slot],
            before[3, slot],
        )
        assert np.allclose(alone, whole[3, slot], atol=1e-6)


def test_a_policy_meets_in_the_batch_what_it_would_meet_in_a_vehicle() -> None:
    """Pairs come and go; whatever the policy said of one that was away is not its mode."""
    episodes = batch(3)
    trace, spec = episodes.trace, PolicySpec(19, MultiBinary(3))
    policy = Policy.of(spec)
    flat = initial_parameters(policy, np.random.default_rng(4)) * 3
    played = collect(policy, flat, episodes, None)
    actor = Actor(spec, flat)
    came_back = 0
    for episode in range(trace.episodes):
        modes = np.zeros(3, bool)
        for slot in range(trace.slots):
            seen = observe_assisted(
                float(trace.bandwidth_hz[episode, slot]),
                trace.objects[episode, slot],
                trace.distance_m[episode, slot],
                trace.present[episode, slot],
                modes,
            )
            assert np.allclose(seen, played.observations[episode, slot], atol=1e-6)
            modes = actor.act(seen) & trace.present[episode, slot]
            came_back += int((played.actions[episode, slot] & ~trace.present[episode, slot]).sum())
    assert came_back > 100
