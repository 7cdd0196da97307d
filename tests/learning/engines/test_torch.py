"""Modules of an INMF's own: which are loaded, which are refused and with what reason."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from twintier.inmf.spec import Mlp, TorchModule
from twintier.learning.engines.numpy import MlpNetwork
from twintier.learning.engines.select import network_of
from twintier.learning.engines.torch import TorchNetwork
from twintier.learning.errors import SettingsError

MODULES = "tests.support.modules"
SEEN = np.random.default_rng(0).normal(size=(5, 6))


def named(name: str) -> TorchModule:
    return TorchModule(f"{MODULES}:{name}")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("BatchNorm", "between: BatchNorm1d, which normalises by other rows.*LayerNorm"),
        ("Dropout", "between: Dropout, which drops numbers at random.*probability to 0"),
        ("Centred", "other outputs beside other rows"),
        ("Noisy", "other outputs beside other rows, or twice"),
        ("Bounded", "does not halve its outputs.*nn.Linear"),
        ("Detached", "cuts its outputs off"),
        ("Wide", r"gives \(3, 4\) for 3 rows; its head needs \(3, 2\)"),
        ("Flat", r"fails on \(3, 6\) rows"),
        ("Empty", "no parameters"),
        ("ROWS", "None, not a subclass"),
        ("torch", "not a subclass of torch.nn.Module"),
    ],
)
def test_a_module_that_cannot_be_learned_with_is_refused(name: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        TorchNetwork(named(name), 6, 2)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("tests.support.modules", "form package.module:Class"),
        ("../modules:Plain", "form package.module:Class"),
        ("no_such_package.networks:Net", "cannot be imported.*install the package"),
    ],
)
def test_a_bad_path_is_refused(path: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        TorchNetwork(TorchModule(path), 6, 2)


def test_arguments_that_do_not_fit_are_refused() -> None:
    path = "bench._networks:GruPolicy"
    with pytest.raises(SettingsError, match="6 numbers are no 4 slots"):
        TorchNetwork(TorchModule(path, (("window", 4), ("units", 3))), 6, 2)
    with pytest.raises(SettingsError, match=r"cannot be built with.*units"):
        TorchNetwork(TorchModule(path, (("window", 2),)), 6, 2)


def test_a_device_that_is_not_there_is_refused() -> None:
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    with pytest.raises(SettingsError, match=f"'cuda:{there}' is not there.*use cpu"):
        network_of(named("Plain"), 6, 2, device=f"cuda:{there}")
    with pytest.raises(SettingsError, match="'tpu' is none of cpu, cuda"):
        network_of(named("Plain"), 6, 2, device="tpu")


@pytest.mark.parametrize("name", ["Plain", "QuietDropout", "Scaled", "Linear"])
def test_a_module_runs_in_both_precisions(name: str) -> None:
    network = TorchNetwork(named(name), 6, 2)
    flat = np.random.default_rng(1).normal(size=network.parameters)
    exact = network.run(flat, SEEN).outputs
    rounded = network.run(flat.astype(np.float32), SEEN.astype(np.float32)).outputs
    assert exact.dtype == np.float64
    assert rounded.dtype == np.float32
    np.testing.assert_allclose(rounded, exact, atol=1e-5)


def test_a_network_that_is_linear_in_its_numbers_bends_nothing() -> None:
    network = TorchNetwork(named("Linear"), 6, 2)
    flat, direction = np.random.default_rng(1).normal(size=(2, network.parameters))
    loss, moved = np.random.default_rng(2).normal(size=(2, 5, 2))
    run = network.run(flat, SEEN)
    product, expected = np.empty((2, network.parameters))
    run.write_product(direction, loss, moved, product)
    run.write_gradient(moved, expected)
    np.testing.assert_allclose(product, expected, rtol=1e-12)


def test_vectors_that_may_not_be_written_are_read() -> None:
    network = TorchNetwork(named("Plain"), 6, 2)
    flat = np.zeros(network.parameters)
    rows = SEEN[::-1]
    for each in (flat, rows):
        each.flags.writeable = False
    assert not network.run(flat, rows).outputs.any()


def test_loading_leaves_the_random_numbers_of_others_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    TorchNetwork(named("Plain"), 6, 2).initial(np.random.default_rng(0))
    assert torch.equal(torch.rand(3), expected)


def test_a_network_travels_to_a_worker() -> None:
    network = TorchNetwork(named("Plain"), 6, 2)
    flat = network.initial(np.random.default_rng(0))
    travelled = pickle.loads(pickle.dumps(network))  # noqa: S301  # our own bytes
    np.testing.assert_array_equal(
        travelled.run(flat, SEEN).outputs, network.run(flat, SEEN).outputs
    )


def test_a_spec_chooses_the_engine() -> None:
    assert isinstance(network_of(Mlp(), 6, 2), MlpNetwork)
    assert isinstance(network_of(named("Plain"), 6, 2), TorchNetwork)


def test_the_built_in_network_needs_no_torch() -> None:
    script = (
        "import sys; from twintier.inmf.spec import Mlp; "
        "from twintier.learning.engines.select import network_of; network_of(Mlp(), 6, 2); "
        "print('torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert ended.stdout == b"False\n"
