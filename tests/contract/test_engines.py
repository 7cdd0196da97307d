"""One suite for every network behind the port of `learning.engines`."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from twintier.inmf.spec import Mlp, TorchModule
from twintier.learning.engines.numpy import order_in_torch
from twintier.learning.engines.port import Network
from twintier.learning.engines.select import network_of

pytestmark = pytest.mark.slow

Doubles = npt.NDArray[np.float64]
SEEN, OUTPUTS, ROWS, TWINS = 6, 2, 5, 3
EXTRA = 2
"""Numbers of a head behind the network's: no function may touch them."""
STEP = 1e-6

BUILT_IN = Mlp((7, 7))
MODULE = TorchModule("bench._networks:TanhMlp", (("width", 7),))
GRU = TorchModule("bench._networks:GruPolicy", (("window", 3), ("units", 4)))
NETWORKS: dict[str, Mlp | TorchModule] = {
    "numpy-mlp": BUILT_IN,
    "torch-mlp": MODULE,
    "torch-gru": GRU,
}


@dataclass(frozen=True)
class Case:
    """A network with numbers, rows, a direction and derivatives of a loss by the outputs."""

    network: Network
    flat: Doubles
    seen: Doubles
    direction: Doubles
    loss: Doubles
    moved: Doubles


def case(spec: Mlp | TorchModule, *, twins: tuple[int, ...] = (), seed: int = 0) -> Case:
    rng = np.random.default_rng(seed)
    network = network_of(spec, SEEN, OUTPUTS)
    size = (*twins, network.parameters + EXTRA)
    rows = (*twins, ROWS)
    return Case(
        network,
        rng.normal(0.0, 0.5, size),
        rng.normal(size=(*rows, SEEN)),
        rng.normal(size=size),
        rng.normal(size=(*rows, OUTPUTS)),
        rng.normal(size=(*rows, OUTPUTS)),
    )


@pytest.fixture(params=list(NETWORKS.values()), ids=list(NETWORKS))
def spec(request: pytest.FixtureRequest) -> Mlp | TorchModule:
    named: Mlp | TorchModule = request.param
    return named


def outputs(one: Case, flat: Doubles) -> Doubles:
    return np.asarray(one.network.run(flat, one.seen).outputs, np.float64)


def gradient(one: Case, flat: Doubles, loss: Doubles) -> Doubles:
    written = np.full_like(one.flat, 7.0)
    one.network.run(flat, one.seen).write_gradient(loss, written)
    return written


def product(one: Case) -> Doubles:
    run = one.network.run(one.flat, one.seen)
    run.tangent(one.direction)
    written = np.full_like(one.flat, 7.0)
    run.write_product(one.direction, one.loss, one.moved, written)
    return written


def test_the_gradient_is_that_of_finite_differences(spec: Mlp | TorchModule) -> None:
    one = case(spec)
    expected = [
        np.sum(one.loss * (outputs(one, one.flat + step) - outputs(one, one.flat - step)))
        for step in STEP * np.eye(one.flat.size)[: one.network.parameters]
    ]
    found = gradient(one, one.flat, one.loss)
    np.testing.assert_allclose(found[:-EXTRA], np.array(expected) / (2 * STEP), atol=1e-8)
    np.testing.assert_array_equal(found[-EXTRA:], 7.0)


def test_the_tangent_is_that_of_finite_differences(spec: Mlp | TorchModule) -> None:
    one = case(spec)
    ahead = outputs(one, one.flat + STEP * one.direction)
    behind = outputs(one, one.flat - STEP * one.direction)
    found = one.network.run(one.flat, one.seen).tangent(one.direction)
    np.testing.assert_allclose(found, (ahead - behind) / (2 * STEP), atol=1e-7)


def test_the_product_is_that_of_finite_differences(spec: Mlp | TorchModule) -> None:
    one = case(spec)
    ahead = gradient(one, one.flat + STEP * one.direction, one.loss + STEP * one.moved)
    behind = gradient(one, one.flat - STEP * one.direction, one.loss - STEP * one.moved)
    found = product(one)
    np.testing.assert_allclose(
        found[:-EXTRA], ((ahead - behind) / (2 * STEP))[:-EXTRA], rtol=1e-6, atol=1e-7
    )
    np.testing.assert_array_equal(found[-EXTRA:], 7.0)


@pytest.mark.parametrize("twins", [(TWINS,), (2, TWINS)])
def test_twins_together_are_the_twins_one_by_one(
    spec: Mlp | TorchModule, twins: tuple[int, ...]
) -> None:
    several = case(spec, twins=twins)
    run = several.network.run(several.flat, several.seen)
    tangent = run.tangent(several.direction)
    gradients = gradient(several, several.flat, several.loss)
    products = product(several)
    for at in np.ndindex(*twins):
        alone = Case(
            several.network,
            several.flat[at],
            several.seen[at],
            several.direction[at],
            several.loss[at],
            several.moved[at],
        )
        single = alone.network.run(alone.flat, alone.seen)
        np.testing.assert_allclose(run.outputs[at], single.outputs, atol=1e-12)
        np.testing.assert_allclose(tangent[at], single.tangent(alone.direction), atol=1e-12)
        np.testing.assert_allclose(
            gradients[at], gradient(alone, alone.flat, alone.loss), atol=1e-11
        )
        np.testing.assert_allclose(products[at], product(alone), atol=1e-11)


def test_float32_stays_float32_and_agrees(spec: Mlp | TorchModule) -> None:
    one = case(spec)
    run = one.network.run(one.flat.astype(np.float32), one.seen.astype(np.float32))
    assert run.outputs.dtype == np.float32
    np.testing.assert_allclose(run.outputs, outputs(one, one.flat), atol=1e-5)


def test_scaled_outputs_keep_their_signs(spec: Mlp | TorchModule) -> None:
    one = case(spec)
    changed = one.flat.copy()
    one.network.scale_outputs(changed, 0.25)
    np.testing.assert_allclose(outputs(one, changed), 0.25 * outputs(one, one.flat), rtol=1e-12)
    moved = np.flatnonzero(changed != one.flat)
    layer = one.network.last_layer
    np.testing.assert_array_equal(moved, np.arange(layer.start, layer.stop))


def test_a_start_follows_from_the_generator_and_prefers_nothing(spec: Mlp | TorchModule) -> None:
    one = case(spec)
    first = one.network.initial(np.random.default_rng(3))
    assert first.dtype == np.float32
    assert first.shape == (one.network.parameters,)
    np.testing.assert_array_equal(first, one.network.initial(np.random.default_rng(3)))
    assert (first != one.network.initial(np.random.default_rng(4))).any()
    started = one.network.run(first, one.seen.astype(np.float32)).outputs
    assert 0.0 < np.abs(started).max() < 0.1


def test_an_update_in_place_does_not_reach_back_into_a_pass(spec: Mlp | TorchModule) -> None:
    one = case(spec)
    before = outputs(one, one.flat)
    run = one.network.run(one.flat, one.seen)
    one.flat[...] = 0.0
    np.testing.assert_array_equal(run.outputs, before)


def test_both_engines_agree_on_the_shared_network() -> None:
    ours, theirs = case(BUILT_IN), network_of(MODULE, SEEN, OUTPUTS)
    order = order_in_torch((SEEN, *BUILT_IN.hidden, OUTPUTS))
    shared = Case(theirs, ours.flat[order], ours.seen, ours.direction[order], ours.loss, ours.moved)
    size = ours.network.parameters
    assert theirs.parameters == size
    np.testing.assert_allclose(outputs(shared, shared.flat), outputs(ours, ours.flat), rtol=1e-10)
    np.testing.assert_allclose(
        gradient(shared, shared.flat, ours.loss)[:size],
        gradient(ours, ours.flat, ours.loss)[order],
        rtol=1e-9,
        atol=1e-12,
    )
    np.testing.assert_allclose(product(shared)[:size], product(ours)[order], rtol=1e-9, atol=1e-12)
