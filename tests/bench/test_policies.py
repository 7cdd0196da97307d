"""The policies of the meta bench that no gradient step adapts."""

import numpy as np
import pytest

from bench import _conditioned, _encoder, _six_pairs
from bench._hidden import DAY, HiddenEpisodes
from bench.meta import leads
from twintier.inmf.perception.live import MODES_BEFORE, LiveEpisodes
from twintier.learning.encoder import EncoderPolicy
from twintier.learning.network import layers_of


def test_hidden_v1_shows_ten_numbers_and_pays_what_live_pays() -> None:
    rng = np.random.default_rng(0)
    task = DAY["F"]
    trace = task.trace(4, rng)
    shown, live = HiddenEpisodes(trace, task.condition), LiveEpisodes(trace, task.condition)
    modes = rng.random(trace.objects.shape) < 0.5
    seen = shown.observe_after(modes)
    assert seen.shape == (4, 75, 10)
    np.testing.assert_array_equal(shown.observe(7, {MODES_BEFORE: modes[:, 7]}), seen[:, 7])
    np.testing.assert_allclose(seen[..., 1:4] * 4.0 + 4.0, trace.objects, atol=1e-5)
    np.testing.assert_array_equal(shown.rewards(modes), live.rewards(modes))


def test_a_transition_is_what_was_seen_done_and_measured() -> None:
    seen = np.zeros((2, 10), np.float32)
    modes = np.array([[True, False, True], [False, False, False]])
    rows = _encoder.transitions_of(seen, modes, np.array([1.5, -10.0]))
    assert rows.shape == (2, 14)
    assert rows[0, -4:].tolist() == [1.0, 0.0, 1.0, 0.5]
    assert rows[1, -4:].tolist() == [0.0, 0.0, 0.0, -1.0]


def test_an_encoder_batch_values_every_choice_of_every_slot() -> None:
    rng = np.random.default_rng(0)
    policy = EncoderPolicy(_encoder.SETTINGS, rng)
    batch = _encoder.draw_batch(policy, rng)
    assert batch.worth.shape == (_encoder.TASKS, 75, 8)
    assert batch.transitions.shape == (_encoder.TASKS, 300, 14)
    assert batch.worth.min() > -12.0


def test_six_pairs_in_another_order_are_the_same_slots() -> None:
    slots = _six_pairs.Slots.draw(2, np.random.default_rng(0))
    before = np.random.default_rng(1).random(slots.objects.shape) < 0.5
    order = np.random.default_rng(2).permutation(_six_pairs.PAIRS)
    turned = _six_pairs.Slots(
        slots.physics, slots.bandwidth_hz, slots.objects[..., order], slots.distance_m[..., order]
    )
    seen = slots.seen(before).reshape(-1, _six_pairs.SIZES[0])
    best = slots.best(before).reshape(-1, _six_pairs.PAIRS)
    rows, codes = _six_pairs.reordered(seen, best, order)
    np.testing.assert_array_equal(
        rows, turned.seen(before[..., order]).reshape(-1, _six_pairs.SIZES[0])
    )
    np.testing.assert_array_equal(_six_pairs.CHOICES[codes], best[:, order])


def test_with_six_pairs_nothing_played_beats_trying_all() -> None:
    slots = _six_pairs.Slots.draw(4, np.random.default_rng(0))
    flat = _six_pairs.train(np.random.default_rng(1), iterations=3)
    layers = layers_of(_six_pairs.SIZES, flat)
    assert _six_pairs.worth_j(slots, layers) < _six_pairs.worth_j(slots, None)


def test_the_gradient_of_the_teacher_falls_to_0_at_certainty() -> None:
    rng = np.random.default_rng(0)
    sizes = (3, 4, 2)
    flat = _conditioned.fresh(sizes, rng)
    flat[-2:] = (40.0, -40.0)
    rows = rng.normal(size=(5, 3)).astype(np.float32)
    assert np.abs(_conditioned.teach(sizes, flat, rows, np.zeros(5, np.int64))).max() < 1e-6
    assert np.abs(_conditioned.teach(sizes, flat, rows, np.ones(5, np.int64))).max() > 0.5


def test_a_lead_is_over_the_mixture_of_the_same_seed() -> None:
    after = {
        "mixture_reheated": [np.array([0.5]), np.array([0.7])],
        "maml_k3": [np.array([0.6]), np.array([0.9])],
    }
    assert [float(lead[0]) for lead in leads(after)["maml_k3"]] == pytest.approx([0.1, 0.2])
