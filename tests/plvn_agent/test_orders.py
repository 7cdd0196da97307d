"""Which models can act in a PLVN, and what the twin is told of the others."""

import pickle
import sys
from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.plvn_agent.agents import TOY, managed, messages, model, received
from tests.support.toy_inmf import SPEC, ToyInmf, toy
from twintier.inmf.actor import Floats
from twintier.inmf.spec import InmfSpec, TorchModule
from twintier.plvn_agent import orders
from twintier.plvn_agent.policy import Actor
from twintier.protocol.messages import ModelApplied, ModelDispatched, ModelRefused
from twintier.protocol.tensors import Tensors, model_id
from twintier.runtime.effects import Count

OWN = ToyInmf(replace(SPEC, network=TorchModule("m:Net")))


def refused(order: ModelDispatched) -> ModelRefused:
    core = managed()
    effects = core.receive(received(order), 1.0)
    assert effects[1:] == [Count("models_refused")]
    (message,) = messages(effects)
    assert isinstance(message, ModelRefused)
    assert core.controllers[TOY].policy.acts == "baseline"
    return message


def with_parameters(parameters: Floats) -> ModelDispatched:
    digest = model_id(toy().schema_id, parameters)
    packed = Tensors.pack({"parameters": parameters})
    return model(1).model_copy(update={"parameters": packed, "model": digest})


def test_a_model_of_an_earlier_release_acts() -> None:
    core = managed()
    order = model(1, schema_id="toy-of-old")
    applied = messages(core.receive(received(order), 1.0))[-1]
    assert isinstance(applied, ModelApplied)
    assert core.controllers[TOY].policy.acts == "individual_model"


def test_another_schema_is_refused() -> None:
    message = refused(model(1, schema_id="toy/9/0"))
    assert message.code == "wrong_schema"
    assert message.reason == f"schema toy/9/0 is not this agent's {toy().schema_id}"


def test_other_parameters_than_the_id_says_are_refused() -> None:
    order = model(1).model_copy(update={"model": "0" * 64})
    assert refused(order).code == "wrong_digest"


def test_parameters_of_another_network_are_refused() -> None:
    message = refused(with_parameters(np.zeros(7, np.float32)))
    assert message.code == "wrong_schema"
    assert message.reason.startswith("ShapeError: parameters (7,) must be (25,)")
    assert refused(with_parameters(np.zeros((1, 25), np.float32))).code == "wrong_schema"


def graph() -> bytes:
    """A linear network: outputs (rows, 2) of observations (rows, 4) and 8 numbers."""
    tensor, node = helper.make_tensor_value_info, helper.make_node
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [4, 2])
    nodes = [
        node("Reshape", ["parameters", "shape"], ["weights"]),
        node("MatMul", ["observations", "weights"], ["outputs"]),
    ]
    inputs = [
        tensor("parameters", TensorProto.FLOAT, [8]),
        tensor("observations", TensorProto.FLOAT, ["rows", 4]),
    ]
    outputs = [tensor("outputs", TensorProto.FLOAT, ["rows", 2])]
    made = helper.make_graph(nodes, "linear", inputs, outputs, [shape])
    opset = [helper.make_opsetid("", 17)]
    program: bytes = helper.make_model(made, opset_imports=opset, ir_version=9).SerializeToString()
    return program


def dispatched_own(program: bytes, first: float = 1.0) -> ModelDispatched:
    """Weights that look at the first load alone: the first task goes where it is positive."""
    parameters = np.zeros(8 + 2, np.float32)
    parameters[:2] = first, -first
    changed = {
        "schema_id": OWN.schema_id,
        "model": model_id(OWN.schema_id, parameters),
        "parameters": Tensors.pack({"parameters": parameters}),
        "program": program,
    }
    return model(1).model_copy(update=changed)


def test_a_network_of_an_inmfs_own_decides() -> None:
    core = managed(inmfs=[OWN])
    core.receive(received(dispatched_own(graph())), 1.0)
    policy = core.controllers[TOY].policy
    assert policy.acts == "individual_model"
    row = {"load": np.array([2.0, 9.0])}
    assert policy(row).tolist() == [True, False]
    assert pickle.loads(pickle.dumps(policy))(row).tolist() == [True, False]  # noqa: S301
    assert policy.errors == 0


def test_a_program_that_is_no_graph_is_refused() -> None:
    core = managed(inmfs=[OWN])
    (refusal,) = messages(core.receive(received(dispatched_own(b"no graph")), 1.0))
    assert isinstance(refusal, ModelRefused)
    assert refusal.code == "wrong_schema"
    assert refusal.reason.startswith("GraphRefusedError: these 8 bytes are no ONNX graph")


def test_a_network_that_nothing_here_can_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    orders._graph.cache_clear()
    core = managed(inmfs=[OWN])
    message, counted = core.receive(received(dispatched_own(graph())), 1.0)
    assert counted == Count("models_refused")
    (refusal,) = messages([message])
    assert isinstance(refusal, ModelRefused)
    assert refusal.code == "no_engine"
    assert refusal.reason.endswith("pip install 'twintier[onnx]'")


class _Always:
    def act(self, observation: np.ndarray) -> np.ndarray:
        return np.ones((*observation.shape[:-1], 2), bool)


class _Engine:
    def __init__(self) -> None:
        self.programs: list[bytes] = []

    def actor(self, spec: InmfSpec, parameters: Floats, program: bytes) -> Actor:
        if parameters.size != 10:
            raise RuntimeError(f"{spec.inmf} has no idea of {parameters}")
        self.programs.append(program)
        return _Always()  # type: ignore[return-value]


def test_another_engine_gets_the_program() -> None:
    engine = _Engine()
    core = managed(inmfs=[OWN], engine=engine)
    core.receive(received(dispatched_own(b"graph")), 1.0)
    assert engine.programs == [b"graph"]
    assert core.controllers[TOY].policy.acts == "individual_model"


def test_an_engine_that_fails_costs_the_model() -> None:
    core = managed(inmfs=[toy()], engine=_Engine())
    (refusal,) = messages(core.receive(received(model(1)), 1.0))
    assert isinstance(refusal, ModelRefused)
    assert refusal.code == "wrong_schema"
    assert refusal.reason.startswith("RuntimeError: toy has no idea of")


@pytest.mark.parametrize("bias", [-1.0, 1.0])
def test_parameters_decide_what_is_done(bias: float) -> None:
    core = managed()
    core.receive(received(model(1, bias=bias)), 1.0)
    row = {"load": np.array([2.0, 9.0])}
    assert core.controllers[TOY].policy(row).tolist() == [bias > 0] * 2
