"""An agent's behaviour: register, decide each slot, upload, obey the owner of the twin.

What acts is the newest individual model, or the INMF's classical baseline before there is one or
when the twin orders it. With the bus away the agent goes on deciding with what it has. It obeys
`down` messages of the owner that the newest grant names, under that grant's fence, and no other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from twintier.inmf.actor import Actor, PolicySpec
from twintier.inmf.perception.assisted import COOP_PERCEPTION_ASSISTED as SPEC
from twintier.inmf.perception.assisted import observe_assisted
from twintier.inmf.perception.baselines import Aimd
from twintier.inmf.trajectory import Mask
from twintier.plvn_agent.settings import AgentSettings
from twintier.plvn_agent.source import PlvnProfile, SlotMeasured, SlotObserved
from twintier.plvn_agent.sources.conditions import generator_of
from twintier.plvn_agent.uploads import Batch, DecidedSlot, Summary, telemetry_of
from twintier.protocol.address import Address
from twintier.protocol.envelope import Envelope
from twintier.protocol.ids import EdgeId, InmfId, PlvnId
from twintier.protocol.messages import (
    AgentStatusReported,
    BaselineOrdered,
    CloudStatusReported,
    Grant,
    GrantRenewed,
    MessageReturned,
    ModelApplied,
    ModelDispatched,
    ModelRefused,
    ModelRequested,
    RegistrationGranted,
    RegistrationRefused,
    RegistrationRequested,
    UploadsAcknowledged,
)
from twintier.protocol.messages.base import Message
from twintier.protocol.signing import is_grant_by
from twintier.protocol.tensors import model_id
from twintier.protocol.values import Fence
from twintier.runtime.core import Input, JobDone, JobFailed, Observed, Received, Started, TimerFired
from twintier.runtime.effects import (
    Actuate,
    CancelTimer,
    ConfirmUploads,
    Count,
    Effect,
    Publish,
    Save,
    StartTimer,
    count_of,
)

POLICY = PolicySpec(SPEC.observation_dim, SPEC.action_dim)
MAX_RETRY_FACTOR = 16


@dataclass(frozen=True, slots=True)
class History:
    """Slots before the first that is decided, such as of a warm-up."""

    slots: tuple[SlotObserved, ...]


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """What an agent must not forget: whom it obeys, and what it has obeyed last."""

    plvn: PlvnId
    edge: EdgeId
    fence: Fence
    owner_boot: str = ""
    version: int = 0
    """Of the newest order that was obeyed, counted by the owner's process; older ones are void."""


class AgentCore:
    """The agent of one PLVN."""

    role: Literal["plvn"] = "plvn"

    def __init__(
        self,
        profile: PlvnProfile,
        settings: AgentSettings,
        *,
        requested_inmfs: tuple[InmfId, ...] = (COOP_PERCEPTION,),
        record: AgentRecord | None = None,
    ) -> None:
        self.plvn = profile.plvn
        self.id: str = profile.plvn
        self.site = profile.site
        self.settings = settings
        self.requested_inmfs = requested_inmfs
        self.record = record
        self.owner_key = ""
        """Of the owner that the grant names; checks its orders."""
        self.granted = False
        """Whether a grant was seen in this run; before that nothing is uploaded."""
        self.retries = 0
        self.planned = False
        """Whether the cloud twin has said that offline planning is over."""
        self.actor: Actor | None = None
        self.version = 0
        self.owner_boot = ""
        """Versions are counted by the owner's process; another one begins anew."""
        self.baseline = Aimd()
        self.modes: Mask = np.zeros(SPEC.action_dim, bool)
        self.observed: SlotObserved | None = None
        self.history: tuple[SlotObserved, ...] = ()
        self.telemetry: list[SlotObserved] = []
        self.batch_slots = settings.batch_slots
        self.batch = Batch()
        self.summary = Summary()

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        """Take an input and say what shall happen."""
        match event:
            case Observed(observation=observation):
                return self._on_observation(observation)
            case Received():
                return self._on_message(event)
            case TimerFired(key="register"):
                return self._register()
            case TimerFired(key="lease"):
                return self._on_lease()
            case Started():
                return [*self._on_lease(), *self._register()]
            case TimerFired() | JobDone() | JobFailed():
                return []

    def goodbye(self) -> Sequence[Effect]:
        """Say that the agent leaves."""
        return [self._status("offline")]

    # Slots

    def _on_observation(self, observation: object) -> Sequence[Effect]:
        match observation:
            case SlotObserved():
                return self._on_slot(observation)
            case SlotMeasured():
                return self._on_measured(observation)
            case History(slots=slots):
                self.history = slots
                return self._upload_history() if self.granted else []
            case _:
                return [Count("observations_unknown")]

    def _on_slot(self, slot: SlotObserved) -> Sequence[Effect]:
        """Decide the modes of this slot."""
        self.observed = slot
        if self.actor is None:
            self.baseline, modes = self.baseline.decide(
                slot.bandwidth_hz, slot.objects, slot.distance_m, slot.present
            )
        else:
            seen = observe_assisted(
                slot.bandwidth_hz, slot.objects, slot.distance_m, slot.present, self.modes
            )
            modes = self.actor.modes(seen) & slot.present
        actuate = Actuate(tuple(bool(mode) for mode in modes))
        return [actuate, *self._on_telemetry(slot)]

    def _on_telemetry(self, slot: SlotObserved) -> list[Effect]:
        if not self.granted:
            return [Count("slots_unowned")]
        self.telemetry.append(slot)
        if len(self.telemetry) < self.settings.telemetry_slots:
            return []
        message, self.telemetry = telemetry_of(self.telemetry), []
        return [self._publish(message, sim_time_s=slot.sim_time_s)]

    def _on_measured(self, measured: SlotMeasured) -> Sequence[Effect]:
        """Learn what the slot was worth; upload when a batch is full."""
        slot = self.observed
        if slot is None or slot.slot != measured.slot:
            return [Count("measurements_unmatched")]
        if self.actor is None:
            self.baseline = self.baseline.after(infeasible=measured.infeasible)
        decided = DecidedSlot(slot, self.modes, measured)
        self.modes = measured.modes
        if not self.granted:
            return []
        self.batch.slots.append(decided)
        self.summary.add(decided)
        effects: list[Effect] = []
        if len(self.batch.slots) >= self.batch_slots:
            effects += self._upload_batch()
        if self.summary.slots >= self.settings.performance_slots:
            effects += self._upload_summary()
        return effects

    def _upload_batch(self) -> list[Effect]:
        if not self.batch.slots:
            return []
        sim_time_s = self.batch.slots[-1].observed.sim_time_s
        message = self.batch.trajectories()
        self.batch = self.batch.following(self.batch.policy, self.batch.model_version)
        return [self._publish(message, inmf=COOP_PERCEPTION, sim_time_s=sim_time_s)]

    def _upload_summary(self) -> list[Effect]:
        if not self.summary.slots:
            return []
        report = self.summary.report(self.batch.policy, self.batch.model_version)
        self.summary = Summary()
        return [self._publish(report, inmf=COOP_PERCEPTION)]

    def _upload_history(self) -> list[Effect]:
        size = self.settings.history_slots
        parts = [self.history[i : i + size] for i in range(0, len(self.history), size)]
        self.history = ()
        return [
            self._publish(telemetry_of(part), sim_time_s=max(part[-1].sim_time_s, 0.0))
            for part in parts
        ]

    # Ownership

    def _on_message(self, received: Received) -> Sequence[Effect]:
        match received.message:
            case RegistrationGranted(grant=grant) | GrantRenewed(grant=grant):
                return self._on_grant(grant)
            case RegistrationRefused(retry_s=retry_s):
                return [StartTimer("register", max(retry_s, 0.1)), Count("registrations_refused")]
            case ModelDispatched() | BaselineOrdered() as order:
                if not self._is_order(received):
                    return [Count("not_owner")]
                return self._on_order(order, received.envelope)
            case UploadsAcknowledged() as acknowledged:
                return [
                    ConfirmUploads(acknowledged) if self._is_owner(received) else Count("not_owner")
                ]
            case MessageReturned() as returned:
                return self._on_returned(returned, received)
            case CloudStatusReported(phase=phase, state=state):
                self.planned = state == "online" and phase == "online"
                return []
            case _:
                return []

    def _register(self) -> list[Effect]:
        """Ask to be managed, and again until there is an answer."""
        if self.granted:
            return []
        request = RegistrationRequested(site=self.site, requested_inmfs=self.requested_inmfs)
        pause_s = self.settings.retry_s * min(2**self.retries, MAX_RETRY_FACTOR)
        jitter = generator_of(self.retries, self.plvn, "register").uniform(0.5, 1.5)
        self.retries += 1
        return [
            Publish(request, Address(plvn=self.plvn)),
            StartTimer("register", pause_s * jitter),
        ]

    def _on_grant(self, grant: Grant) -> Sequence[Effect]:
        if grant.plvn != self.plvn:
            return [Count("not_owner")]
        if self.settings.cloud_key and not is_grant_by(self.settings.cloud_key, grant):
            return [Count("grants_forged")]
        before = self.record
        if before is not None and grant.fence < before.fence:
            return [Count("stale_fence")]
        record = AgentRecord(self.plvn, grant.edge, grant.fence)
        if before is not None and before.edge == grant.edge:
            record = replace(before, fence=grant.fence)
        self.owner_key = grant.edge_key
        effects: list[Effect] = [CancelTimer("register")]
        if record != self.record:
            self.record = record
            effects.append(Save(record))
        if self.granted:
            return effects
        self.granted = True
        asks = [self._publish(ModelRequested(inmf=inmf)) for inmf in self.requested_inmfs]
        return [*effects, *self._upload_history(), *asks]

    def _on_lease(self) -> list[Effect]:
        return [self._status("online"), StartTimer("lease", self.settings.lease_s / 3)]

    def _status(self, state: Literal["online", "offline"]) -> Publish:
        status = AgentStatusReported(state=state, lease_s=self.settings.lease_s)
        return Publish(status, Address(plvn=self.plvn))

    # Models

    def _on_order(
        self, order: ModelDispatched | BaselineOrdered, envelope: Envelope
    ) -> Sequence[Effect]:
        assert self.record is not None
        if order.inmf != COOP_PERCEPTION:
            return [Count("unknown_inmf")]
        newest = self.record.owner_boot, self.record.version
        if (envelope.boot, order.version) < newest:  # by an ended process, or sent before another
            return [Count("models_outdated")]
        present = self.owner_boot, self.version
        if (envelope.boot, order.version) == present:  # the answer was lost: say it again
            return [self._applied(order)]
        actor: Actor | None = None
        if isinstance(order, ModelDispatched):
            refusal = self._refusal(order)
            if refusal is not None:
                return [self._publish(refusal, inmf=order.inmf), Count("models_refused")]
            actor = Actor(POLICY, order.parameters.floats("parameters"))
            self.batch_slots = order.trajectory_slots
        uploads = [*self._upload_batch(), *self._upload_summary()]
        self.actor, self.version, self.owner_boot = actor, order.version, envelope.boot
        self.record = replace(self.record, owner_boot=envelope.boot, version=order.version)
        policy: Literal["baseline", "individual_model"]
        policy = "baseline" if actor is None else "individual_model"
        self.batch = self.batch.following(policy, order.version)
        return [*uploads, Save(self.record), self._applied(order)]

    def _is_owner(self, received: Received) -> bool:
        """Whether the newest grant names the sender, and the sender is who it says."""
        record, signature = self.record, received.signature
        if record is None or received.envelope.src != f"edge:{record.edge}":
            return False
        if not self.settings.cloud_key:
            return True
        return signature is not None and signature.is_by(self.owner_key)

    def _is_order(self, received: Received) -> bool:
        fence = None if self.record is None else self.record.fence
        return received.envelope.fence == fence and self._is_owner(received)

    def _on_returned(self, returned: MessageReturned, received: Received) -> Sequence[Effect]:
        """A message of ours was refused; uploads go to the owner, so only it ends one."""
        is_owner = self._is_owner(received)
        if not is_owner and received.envelope.role != "cloud":
            return [Count("not_owner")]
        settled = [ConfirmUploads(returned)] if is_owner else []
        return [*settled, count_of(returned)]

    @staticmethod
    def _refusal(order: ModelDispatched) -> ModelRefused | None:
        """Why this model cannot act here; NaN and wrong checksums never get this far."""
        if order.schema_id != POLICY.schema_id:
            return ModelRefused(
                inmf=order.inmf,
                version=order.version,
                code="wrong_schema",
                reason=f"schema {order.schema_id} is not this agent's {POLICY.schema_id}",
            )
        arrays = order.parameters.unpack()
        parameters = arrays.get("parameters")
        if parameters is None or parameters.shape != (POLICY.parameters,):
            return ModelRefused(
                inmf=order.inmf,
                version=order.version,
                code="wrong_schema",
                reason=f"parameters must be one array of ({POLICY.parameters},)",
            )
        if model_id(POLICY.schema_id, order.parameters.floats("parameters")) != order.model:
            return ModelRefused(
                inmf=order.inmf,
                version=order.version,
                code="wrong_digest",
                reason=f"parameters do not have the id {order.model}",
            )
        return None

    def _applied(self, order: ModelDispatched | BaselineOrdered) -> Publish:
        slot = 0 if self.observed is None else self.observed.slot + 1
        model = order.model if isinstance(order, ModelDispatched) else "0" * 64
        applied = ModelApplied(inmf=order.inmf, version=order.version, model=model, slot_first=slot)
        return self._publish(applied, inmf=order.inmf)

    def _publish(
        self,
        message: Message,
        *,
        inmf: InmfId | None = None,
        sim_time_s: float | None = None,
    ) -> Publish:
        assert self.record is not None
        to = Address(plvn=self.plvn, inmf=inmf)
        return Publish(message, to, fence=self.record.fence, sim_time_s=sim_time_s)
