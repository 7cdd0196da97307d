"""The built-in network behind the port, apart from what the contract suite says of all."""

import pickle

import numpy as np
import pytest

from twintier.inmf.spec import Mlp
from twintier.learning.engines.numpy import MlpNetwork

NETWORK = MlpNetwork(Mlp((5, 4)), 3, 2)
SEEN = np.random.default_rng(0).normal(size=(6, 3))


def test_it_starts_as_policies_always_have() -> None:
    rng, flat = np.random.default_rng(7), NETWORK.initial(np.random.default_rng(7))
    starts = ((0, 3, 5, 1.0), (20, 5, 4, 1.0), (44, 4, 2, 0.01))
    for start, fan_in, fan_out, gain in starts:
        expected = rng.normal(0.0, gain / np.sqrt(fan_in), fan_in * fan_out).astype(np.float32)
        np.testing.assert_array_equal(flat[start : start + expected.size], expected)
        assert not flat[start + expected.size : start + expected.size + fan_out].any()


def test_a_vector_changed_in_place_is_seen_by_the_next_pass() -> None:
    flat = np.random.default_rng(1).normal(size=NETWORK.parameters)
    before = NETWORK.run(flat, SEEN).outputs.copy()
    NETWORK.scale_outputs(flat, 0.5)
    np.testing.assert_allclose(NETWORK.run(flat, SEEN).outputs, 0.5 * before, rtol=1e-12)


def test_another_vector_is_not_mistaken_for_the_last() -> None:
    first, second = np.zeros(NETWORK.parameters), np.ones(NETWORK.parameters)
    assert not NETWORK.run(first, SEEN).outputs.any()
    assert NETWORK.run(second, SEEN).outputs.all()
    gradients = np.zeros((2, NETWORK.parameters))
    for row in gradients:
        NETWORK.run(second, SEEN).write_gradient(np.ones((6, 2)), row)
    np.testing.assert_array_equal(gradients[0], gradients[1])


def test_a_network_travels_to_a_worker_without_the_numbers_it_ran() -> None:
    flat = np.random.default_rng(2).normal(size=NETWORK.parameters)
    NETWORK.run(flat, SEEN)
    packed = pickle.dumps(NETWORK)
    assert flat.tobytes()[:40] not in packed
    travelled = pickle.loads(packed)  # noqa: S301  # our own bytes
    np.testing.assert_array_equal(
        travelled.run(flat, SEEN).outputs, NETWORK.run(flat, SEEN).outputs
    )


def test_a_product_without_its_tangent_is_refused() -> None:
    flat = np.zeros(NETWORK.parameters)
    rows = np.ones((6, 2))
    with pytest.raises(RuntimeError, match="call tangent"):
        NETWORK.run(flat, SEEN).write_product(flat, rows, rows, flat.copy())
