"""A network of an INMF's own as a vehicle runs it: an ONNX graph, and no torch.

The graph is the architecture only, with the inputs `parameters` (n,) and `observations` (rows,
observation_dim) and the output `outputs` (rows, outputs); the numbers come with each model. A
graph may be another's, so what could reach beyond the two inputs is refused before it is loaded.
"""

from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from twintier.inmf.actor import Actor, Floats, PolicySpec
from twintier.inmf.spec import Observation
from twintier.inmf.trajectory import ShapeError

if TYPE_CHECKING:
    import onnx

INPUTS = ("parameters", "observations")
OUTPUT = "outputs"
MAX_GRAPH_BYTES = 256 * 1024
"""Assumed: a graph of a few layers has 5 to 20 kB, and this still travels in one message."""
INSTALL = "pip install 'twintier[onnx]'"


class GraphRefusedError(ValueError):
    """A graph is not one that a vehicle may run."""


class RuntimeMissingError(ImportError):
    """The packages that run graphs are not installed."""


def check_size(graph: bytes) -> None:
    """Refuse a graph that is too large.

    Raises:
        GraphRefusedError: if it has more than `MAX_GRAPH_BYTES`.
    """
    if len(graph) > MAX_GRAPH_BYTES:
        raise GraphRefusedError(
            f"the graph has {len(graph)} bytes, at most {MAX_GRAPH_BYTES} are run; numbers belong "
            "in the parameters, not in constants"
        )


class OnnxNetwork:
    """A graph ready to run, on one thread."""

    def __init__(self, graph: bytes, observation_dim: int, outputs: int) -> None:
        """Check and load a graph.

        Args:
            graph: what `learning.engines.onnx.exported` returned.
            observation_dim: numbers of an observation.
            outputs: numbers that the head needs.

        Raises:
            RuntimeMissingError: if onnx or onnxruntime is not installed.
            GraphRefusedError: if the graph is too large, holds external data, operators of other
                domains or control flow, or has other inputs or outputs.
        """
        self._made_of = graph, observation_dim, outputs
        check_size(graph)
        reader, runtime = _installed()
        _check_content(reader, graph)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # errors are raised; the log would only repeat them
        try:
            self._session = runtime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
            shapes = {each.name: each.shape for each in self._session.get_inputs()}
            self.parameters = _length(shapes, observation_dim)
            tried = self.outputs(
                np.zeros(self.parameters, np.float32), np.zeros((2, observation_dim), np.float32)
            )
        except GraphRefusedError:
            raise
        except Exception as error:  # onnxruntime's errors have no root of their own
            raise GraphRefusedError(f"the graph cannot be run: {error}") from error
        if tried.shape != (2, outputs) or tried.dtype != np.float32:
            raise GraphRefusedError(
                f"the graph gives {tried.dtype} {tried.shape} for 2 rows, the head needs float32 "
                f"(2, {outputs})"
            )

    def __getstate__(self) -> tuple[bytes, int, int]:
        """What it is made of: a loaded graph cannot cross to another process."""
        return self._made_of

    def __setstate__(self, made_of: tuple[bytes, int, int]) -> None:
        """Check and load the graph again."""
        self.__init__(*made_of)  # type: ignore[misc]  # as new, with all its checks

    def outputs(self, parameters: Floats, observations: Observation) -> Floats:
        """Outputs (..., outputs) of numbers (n,) over observations (..., observation_dim)."""
        *lead, width = observations.shape
        rows = observations.reshape(-1, width)
        (outputs,) = self._session.run([OUTPUT], dict(zip(INPUTS, (parameters, rows), strict=True)))
        return np.asarray(outputs).reshape(*lead, -1)


class OnnxActor(Actor):
    """A policy on a network of an INMF's own, ready to act."""

    def __init__(self, spec: PolicySpec, graph: OnnxNetwork, parameters: Floats) -> None:
        """Take the flat vector apart: the network's numbers, then the head's own.

        Args:
            spec: of the policy.
            graph: its network; several models of one INMF may share it.
            parameters: (graph.parameters + spec.free,) float32.

        Raises:
            ShapeError: if the vector has another length.
            ValueError: if a number is not finite.
        """
        flat = np.array(parameters, np.float32)
        if flat.shape != (graph.parameters + spec.free,):
            raise ShapeError(
                f"parameters {flat.shape} must be ({graph.parameters + spec.free},) for "
                f"{spec.schema_id}"
            )
        if not np.isfinite(flat).all():
            raise ValueError(f"parameters of {spec.schema_id} hold NaN or infinity")
        self.spec = spec
        self._graph = graph
        self._numbers, self._log_std = flat[: graph.parameters], flat[graph.parameters :]

    def outputs(self, observation: Observation) -> Floats:
        """Outputs of the network, (..., outputs), of observations (..., observation_dim)."""
        return self._graph.outputs(self._numbers, observation)


def _installed() -> tuple[ModuleType, ModuleType]:
    # Agents with the built-in network run in numpy and need neither.
    try:
        import onnx  # noqa: PLC0415
        import onnxruntime  # noqa: PLC0415
    except ImportError as error:
        raise RuntimeMissingError(
            f"networks of an INMF's own need {error.name}, which is not installed: {INSTALL}"
        ) from error
    return onnx, onnxruntime


def _check_content(reader: ModuleType, graph: bytes) -> None:
    try:
        model: onnx.ModelProto = reader.load_model_from_string(graph)
    except Exception as error:  # protobuf's error is not part of what onnx promises
        raise GraphRefusedError(f"these {len(graph)} bytes are no ONNX graph: {error}") from error
    if model.functions or model.training_info:
        raise GraphRefusedError("the graph brings functions or training of its own; inline them")
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise GraphRefusedError(
                f"operator {node.op_type} is of domain {node.domain!r}; only ONNX's own are run"
            )
        if any(each.HasField("g") or each.graphs for each in node.attribute):
            raise GraphRefusedError(
                f"operator {node.op_type} is control flow; a decision takes a bounded time"
            )
    for tensor in _tensors(model.graph):
        if tensor.external_data or tensor.data_location == reader.TensorProto.EXTERNAL:
            raise GraphRefusedError(
                f"constant {tensor.name!r} lies in another file; a graph holds what it needs"
            )


def _tensors(graph: "onnx.GraphProto") -> Iterator["onnx.TensorProto"]:
    """All constants of a graph without control flow."""
    yield from graph.initializer
    sparse = list(graph.sparse_initializer)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            sparse += [attribute.sparse_tensor, *attribute.sparse_tensors]
    for each in sparse:
        yield from (each.values, each.indices)


def _length(shapes: dict[str, list[int | str]], observation_dim: int) -> int:
    """How many numbers the graph takes."""
    numbers, rows = (shapes.get(name, []) for name in INPUTS)
    length = numbers[0] if len(numbers) == 1 else None
    right = len(shapes) == len(INPUTS) and len(rows) == 2 and rows[1] == observation_dim
    if not isinstance(length, int) or not right:
        raise GraphRefusedError(
            f"the graph takes {shapes}; a network takes parameters (n) and observations "
            f"(rows, {observation_dim})"
        )
    return length
