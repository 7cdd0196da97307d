"""Networks of an INMF's own on the vehicle: graphs that are exported, run and refused."""

import sys
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from twintier.inmf import onnx_actor
from twintier.inmf.actor import PolicySpec
from twintier.inmf.onnx_actor import (
    GraphRefusedError,
    OnnxActor,
    OnnxNetwork,
    RuntimeMissingError,
)
from twintier.inmf.spec import ActionSpace, Box, Discrete, MultiBinary, TorchModule
from twintier.inmf.trajectory import ShapeError
from twintier.learning.engines.onnx import exported
from twintier.learning.engines.torch import TorchNetwork
from twintier.learning.errors import SettingsError
from twintier.learning.policy import Policy

pytestmark = pytest.mark.slow

SEEN, OUTPUTS = 6, 2
MODULES = {
    "mlp": TorchModule("bench._networks:TanhMlp", (("width", 7),)),
    "gru": TorchModule("bench._networks:GruPolicy", (("window", 3), ("units", 4))),
}


@pytest.fixture(scope="module")
def graphs() -> dict[str, bytes]:
    return {name: exported(spec, SEEN, OUTPUTS) for name, spec in MODULES.items()}


@pytest.mark.parametrize("name", list(MODULES))
def test_the_vehicle_computes_what_learning_computes(graphs: dict[str, bytes], name: str) -> None:
    learned = TorchNetwork(MODULES[name], SEEN, OUTPUTS)
    graph = OnnxNetwork(graphs[name], SEEN, OUTPUTS)
    assert graph.parameters == learned.parameters
    rng = np.random.default_rng(0)
    for rows in (1, 2, 75):
        flat = rng.normal(size=learned.parameters).astype(np.float32)
        seen = rng.normal(size=(rows, SEEN)).astype(np.float32)
        expected = learned.run(flat, seen).outputs
        np.testing.assert_allclose(graph.outputs(flat, seen), expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(graph.outputs(flat, seen[0]), expected[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("actions", "free"), [(MultiBinary(2), 2), (Discrete(2), 0), (Box((-1.0, 0.0), (1.0, 4.0)), 2)]
)
def test_the_vehicle_acts_as_the_policy_says(
    graphs: dict[str, bytes], actions: ActionSpace, free: int
) -> None:
    policy = Policy.of(PolicySpec(SEEN, actions, MODULES["gru"]))
    rng = np.random.default_rng(0)
    flat = rng.normal(size=policy.parameters).astype(np.float32)
    assert flat.size == policy.network.parameters + free
    seen = rng.normal(size=(50, SEEN)).astype(np.float32)
    actor = OnnxActor(policy.spec, OnnxNetwork(graphs["gru"], SEEN, OUTPUTS), flat)
    learned = policy.network.run(flat, seen).outputs
    greedy = policy.head.action(policy.head.explore(learned.copy(), np.zeros_like(learned)))
    acted = actor.act(seen)
    assert acted.dtype == greedy.dtype
    np.testing.assert_allclose(acted.astype(np.float64), greedy.astype(np.float64), atol=1e-5)
    _, sample, log_prob = actor.sample(seen, np.random.default_rng(1))
    density = policy.head.density(learned, policy.free(flat), sample)
    np.testing.assert_allclose(log_prob, density.log_prob, atol=1e-4)


def test_a_vector_of_another_network_is_refused(graphs: dict[str, bytes]) -> None:
    spec = PolicySpec(SEEN, MultiBinary(OUTPUTS), MODULES["mlp"])
    graph = OnnxNetwork(graphs["mlp"], SEEN, OUTPUTS)
    with pytest.raises(ShapeError, match=r"parameters \(3,\) must be \(123,\) for gaussian-torch"):
        OnnxActor(spec, graph, np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="NaN or infinity"):
        OnnxActor(spec, graph, np.full(123, np.nan, np.float32))


@pytest.mark.parametrize("name", list(MODULES))
def test_a_graph_is_small_and_says_nothing_of_the_machine(
    graphs: dict[str, bytes], name: str
) -> None:
    assert len(graphs[name]) < 16_000
    assert b".py" not in graphs[name]
    assert b"TanhMlp" not in graphs[name]


def test_a_missing_exporter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(SettingsError, match=r"onnxscript.*pip install 'twintier\[onnx-export\]'"):
        exported(MODULES["mlp"], SEEN, OUTPUTS)


def test_a_missing_runtime_is_named(
    graphs: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(RuntimeMissingError, match=r"onnxruntime.*pip install 'twintier\[onnx\]'"):
        OnnxNetwork(graphs["mlp"], SEEN, OUTPUTS)


def foreign_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.example"


def external_constant(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"


def external_attribute(model: onnx.ModelProto) -> None:
    tensor = TensorProto(name="far", data_type=TensorProto.FLOAT, dims=[1])
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "numbers.bin"
    model.graph.node.append(helper.make_node("Constant", [], ["far"], value=tensor))


def loop(model: onnx.ModelProto) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["", ""], [], body=body))


def function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    made = helper.make_function("own", "F", ["x"], ["y"], [node], list(model.opset_import))
    model.functions.append(made)


def other_output(model: onnx.ModelProto) -> None:
    model.graph.node[-1].op_type = "NoSuchOperator"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (foreign_operator, "domain 'com.example'; only ONNX's own"),
        (external_constant, "lies in another file"),
        (external_attribute, "constant 'far' lies in another file"),
        (loop, "Loop is control flow"),
        (function, "functions or training"),
        (other_output, "cannot be run"),
    ],
)
def test_a_graph_that_could_do_more_is_refused(
    graphs: dict[str, bytes], change: Callable[[onnx.ModelProto], None], reason: str
) -> None:
    model = onnx.load_model_from_string(graphs["mlp"])
    change(model)
    with pytest.raises(GraphRefusedError, match=reason):
        OnnxNetwork(model.SerializeToString(), SEEN, OUTPUTS)


def test_bytes_that_are_no_graph_are_refused(graphs: dict[str, bytes]) -> None:
    with pytest.raises(GraphRefusedError, match="no ONNX graph"):
        OnnxNetwork(b"\xff" * 100, SEEN, OUTPUTS)
    with pytest.raises(GraphRefusedError, match="the graph takes"):
        OnnxNetwork(graphs["mlp"], SEEN + 1, OUTPUTS)
    with pytest.raises(GraphRefusedError, match=r"gives float32 \(2, 2\) for 2 rows"):
        OnnxNetwork(graphs["mlp"], SEEN, OUTPUTS + 1)


def test_a_large_graph_is_refused_before_it_is_read() -> None:
    graph = bytes(onnx_actor.MAX_GRAPH_BYTES + 1)
    with pytest.raises(GraphRefusedError, match="has 262145 bytes, at most 262144"):
        OnnxNetwork(graph, SEEN, OUTPUTS)
