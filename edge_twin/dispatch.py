"""Orders to one PLVN for one INMF: counted, and sent again until there is an answer. No I/O."""

from dataclasses import dataclass

from twintier.edge_twin.keys import DispatchRetry
from twintier.learning.policy import Vector
from twintier.protocol.address import Address
from twintier.protocol.ids import InmfId, ModelId, PlvnId
from twintier.protocol.messages import BaselineOrdered, ModelDispatched
from twintier.protocol.messages.base import Message
from twintier.protocol.messages.model import Purpose
from twintier.protocol.tensors import Tensors, model_id
from twintier.protocol.values import Fence
from twintier.runtime.effects import CancelTimer, Count, Effect, Publish, StartTimer


@dataclass(slots=True)
class Orders:
    """What this twin has told its PLVN to act by."""

    plvn: PlvnId
    inmf: InmfId
    fence: Fence
    schema_id: str
    batch_slots: int
    retry_s: float
    program: bytes = b""
    """Graph of a network of the INMF's own."""
    version: int = 0
    """Of the newest order."""
    newest: ModelDispatched | BaselineOrdered | None = None
    """For one that asks again."""
    acknowledged: bool = True

    @property
    def present(self) -> Vector | None:
        """Parameters that act in the PLVN; None where the baseline does."""
        if isinstance(self.newest, ModelDispatched):
            return self.newest.parameters.floats("parameters")
        return None

    @property
    def model(self) -> ModelId:
        """Id of the model that was dispatched last; one was."""
        assert isinstance(self.newest, ModelDispatched), "asked for after a dispatch only"
        return ModelId(self.newest.model)

    def is_of(self, model: ModelId) -> bool:
        """Whether the newest order is this model."""
        return isinstance(self.newest, ModelDispatched) and self.newest.model == model

    def restore(self, version: int, parameters: Vector) -> None:
        """Take up what acted before a restart; nothing is sent."""
        self.version = version
        self.newest = self._message(parameters, "final", sampled=False)

    def dispatch(
        self, parameters: Vector, purpose: Purpose, *, sampled: bool = False
    ) -> list[Effect]:
        """Order a model; sampled means that its actions are to be sampled."""
        self.version += 1
        return self._send(self._message(parameters, purpose, sampled=sampled))

    def baseline(self, reason: str) -> list[Effect]:
        """Order the classical baseline."""
        self.version += 1
        return self._send(BaselineOrdered(inmf=self.inmf, version=self.version, reason=reason))

    def lend(self, program: bytes) -> None:
        """Take the graph of a network of the INMF's own, for all orders from now on."""
        self.program = program
        if isinstance(self.newest, ModelDispatched):
            self.newest = self.newest.model_copy(update={"program": program})

    def again(self, *, asked: bool = False) -> list[Effect]:
        """Send the newest order again: asked for, or unanswered."""
        if self.newest is None or (self.acknowledged and not asked):
            return []
        self.acknowledged = False
        count = [] if asked else [Count("dispatches_resent")]
        return [self._publish(self.newest), self._retry(), *count]

    def applied(self, version: int) -> list[Effect]:
        """The PLVN acts by a version."""
        if version != self.version:
            return [Count("applied_outdated")]
        return self.answered()

    def answered(self) -> list[Effect]:
        """The newest order need not be sent again."""
        self.acknowledged = True
        return [CancelTimer(self._timer)]

    def tell(self, message: Message) -> Publish:
        """A message about this PLVN, under this twin's fence."""
        return Publish(message, Address(plvn=self.plvn), fence=self.fence)

    def _message(self, parameters: Vector, purpose: Purpose, *, sampled: bool) -> ModelDispatched:
        return ModelDispatched(
            inmf=self.inmf,
            version=self.version,
            purpose=purpose,
            model=model_id(self.schema_id, parameters),
            schema_id=self.schema_id,
            parameters=Tensors.pack({"parameters": parameters}),
            trajectory_slots=self.batch_slots,
            sampled=sampled,
            program=self.program,
        )

    def _send(self, message: ModelDispatched | BaselineOrdered) -> list[Effect]:
        self.newest, self.acknowledged = message, False
        return [self._publish(message), self._retry()]

    def _publish(self, message: ModelDispatched | BaselineOrdered) -> Publish:
        return Publish(message, Address(plvn=self.plvn, inmf=self.inmf), fence=self.fence)

    def _retry(self) -> StartTimer:
        return StartTimer(self._timer, self.retry_s)

    @property
    def _timer(self) -> DispatchRetry:
        return DispatchRetry(self.plvn, self.inmf)
