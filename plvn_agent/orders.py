"""From an order of the owner to a model that can act, or the reason why it cannot."""

from functools import lru_cache
from typing import Literal, Protocol

from twintier.inmf.actor import Actor as MlpActor
from twintier.inmf.actor import Floats, PolicySpec
from twintier.inmf.contract import Inmf
from twintier.inmf.onnx_actor import OnnxActor, OnnxNetwork, RuntimeMissingError
from twintier.inmf.spec import InmfSpec, Mlp
from twintier.inmf.traffic import WorldSeed
from twintier.plvn_agent.policy import Actor, Model
from twintier.protocol.ids import PlvnId
from twintier.protocol.messages import ModelDispatched, ModelRefused
from twintier.protocol.tensors import model_id

RefusalCode = Literal["wrong_digest", "wrong_schema", "not_finite", "unknown_inmf", "no_engine"]
MAX_REASON = 512


class NoEngineError(Exception):
    """Nothing here can run this network; the message says what to install."""


class UnfitModelError(Exception):
    """A model cannot act here."""

    def __init__(self, code: RefusalCode, reason: str) -> None:
        """Take the code and the reason for the twin."""
        super().__init__(reason)
        self.code: RefusalCode = code


class Engine(Protocol):
    """Makes networks act."""

    def actor(self, spec: InmfSpec, parameters: Floats, program: bytes) -> Actor:
        """A model of flat parameters (n,), and of the ONNX graph of a network of the INMF's own.

        Raises:
            NoEngineError: if nothing here can run the network.
            ValueError: if the parameters do not fit it, or are not finite.
        """
        ...


class InstalledEngine:
    """Runs the built-in network, and ONNX graphs where the packages for them are installed."""

    def actor(self, spec: InmfSpec, parameters: Floats, program: bytes) -> Actor:
        """As the port has it."""
        policy = PolicySpec.of(spec)
        if isinstance(spec.network, Mlp):
            return MlpActor(policy, parameters)
        try:
            graph = _graph(program, policy.observation_dim, policy.outputs)
        except RuntimeMissingError as error:
            raise NoEngineError(str(error)) from error
        return OnnxActor(policy, graph, parameters)


@lru_cache(maxsize=8)
def _graph(program: bytes, observation_dim: int, outputs: int) -> OnnxNetwork:
    """A graph, loaded once for all models and PLVNs of this process: the numbers come apart."""
    return OnnxNetwork(program, observation_dim, outputs)


def model_of(
    order: ModelDispatched, inmf: Inmf, engine: Engine, *, plvn: PlvnId, owner_boot: str
) -> Model:
    """The model of an order; NaN and wrong checksums never get this far.

    What it samples follows from PLVN and order alone, so that playing back gives it again.

    Raises:
        UnfitModelError: if it cannot act here.
    """
    known = (inmf.schema_id, *inmf.former_schemas)
    if order.schema_id not in known:
        raise UnfitModelError(
            "wrong_schema", f"schema {order.schema_id} is not this agent's {inmf.schema_id}"
        )
    arrays = order.parameters.unpack()
    if "parameters" not in arrays or arrays["parameters"].ndim != 1:
        raise UnfitModelError("wrong_schema", "parameters must be one array of one axis")
    parameters = order.parameters.floats("parameters")
    if model_id(order.schema_id, parameters) != order.model:
        raise UnfitModelError("wrong_digest", f"parameters do not have the id {order.model}")
    try:
        actor = engine.actor(inmf.spec, parameters, order.program)
    except NoEngineError as error:
        raise UnfitModelError("no_engine", str(error)) from error
    except Exception as error:  # a network is an INMF's code, and costs that INMF only
        reason = f"{type(error).__name__}: {error}"
        raise UnfitModelError("wrong_schema", reason) from error
    seed = WorldSeed(order.version, plvn).generator(f"{order.inmf} {owner_boot}")
    return Model(actor, seed if order.sampled else None)


def refusal(order: ModelDispatched, code: RefusalCode, reason: str) -> ModelRefused:
    """What the twin is told."""
    return ModelRefused(
        inmf=order.inmf, version=order.version, code=code, reason=reason[:MAX_REASON]
    )
