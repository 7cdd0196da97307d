"""A module as a graph that an agent runs without torch.

The graph holds the architecture only: its inputs are the flat vector `parameters` (n,) and
`observations` (rows, observation_dim), its output `outputs` (rows, outputs). The numbers of a
model travel as those of any other and keep their id.
"""

import warnings
from importlib import import_module
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from twintier.inmf.onnx_actor import INPUTS, OUTPUT, check_size
from twintier.inmf.spec import TorchModule
from twintier.learning.engines.torch import TorchNetwork
from twintier.learning.errors import SettingsError

if TYPE_CHECKING:
    import onnx

INSTALL = "pip install 'twintier[onnx-export]'"
ROWS = 2
"""Rows of the example; torch takes 1 for a constant."""


class _Form(nn.Module):
    """The module as a function of its numbers; they are no state of this one."""

    def __init__(self, network: TorchNetwork) -> None:
        super().__init__()
        self._outputs_of = network.outputs_of

    def forward(self, parameters: Tensor, observations: Tensor) -> Tensor:
        return self._outputs_of(parameters, observations)


def exported(spec: TorchModule, observation_dim: int, outputs: int) -> bytes:
    """The graph of a module.

    Args:
        spec: names the module.
        observation_dim: numbers of an observation.
        outputs: numbers that the head needs.

    Returns:
        ONNX bytes; they take seconds, so a caller keeps them with the schema.

    Raises:
        SettingsError: if the exporter is not installed, or the module cannot be exported.
        GraphRefusedError: if the graph is too large to travel.
    """
    try:
        import_module("onnxscript")  # torch needs it, and says so late and at length
    except ImportError as error:
        raise SettingsError(f"{spec.path} needs onnxscript to be exported: {INSTALL}") from error
    network = TorchNetwork(spec, observation_dim, outputs)
    example = (torch.zeros(network.parameters), torch.zeros(ROWS, observation_dim))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the exporter itself uses and will leave
            program = torch.onnx.export(
                _Form(network).eval(),
                example,
                dynamo=True,
                verbose=False,
                input_names=list(INPUTS),
                output_names=[OUTPUT],
                dynamic_shapes=(None, {0: torch.export.Dim("rows")}),
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        raise SettingsError(f"network {spec.path} cannot be exported to ONNX: {error}") from error
    assert program is not None, "the exporter returns a program unless it is given a file"
    graph = _bare(program.model_proto)
    check_size(graph)
    return graph


def _bare(model: "onnx.ModelProto") -> bytes:
    """The graph without names of modules and files of this machine, which triple its size."""
    graph = model.graph
    del graph.value_info[:]
    parts = [model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer]
    for part in parts:
        del part.metadata_props[:]
        part.doc_string = ""
    graph_bytes: bytes = model.SerializeToString(deterministic=True)
    return graph_bytes
