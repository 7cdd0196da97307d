"""An agent's behaviour: register, decide each slot, upload, obey the owner of the twin.

Each INMF has a controller of its own; this module only says what goes where. With the bus away the
agent goes on deciding with what it has.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, assert_never

from twintier.inmf.contract import Inmf
from twintier.inmf.traffic import Traffic
from twintier.plvn_agent.controller import ERRORS, InmfController
from twintier.plvn_agent.keys import Timer
from twintier.plvn_agent.orders import Engine, InstalledEngine, refusal
from twintier.plvn_agent.ownership import NOT_OWNER, AgentRecord, Ownership
from twintier.plvn_agent.settings import AgentSettings
from twintier.plvn_agent.slots import (
    BulkDriven,
    BulkWanted,
    History,
    InmfFailed,
    InmfSlot,
    Observation,
    SlotActed,
    SlotMeasured,
)
from twintier.plvn_agent.source import PlvnProfile
from twintier.plvn_agent.telemetry import Report, Telemetry
from twintier.protocol.address import Address
from twintier.protocol.ids import InmfId
from twintier.protocol.messages import (
    AgentStatusReported,
    BaselineOrdered,
    CloudStatusReported,
    Grant,
    GrantRenewed,
    MessageReturned,
    ModelDispatched,
    ModelRequested,
    RegistrationGranted,
    RegistrationRefused,
    UploadsAcknowledged,
)
from twintier.runtime.core import Input, JobDone, JobFailed, Observed, Received, Started, TimerFired
from twintier.runtime.effects import ConfirmUploads, Count, Effect, Publish, StartTimer


class AgentCore:
    """The agent of one PLVN."""

    role: Literal["plvn"] = "plvn"

    def __init__(
        self,
        profile: PlvnProfile,
        settings: AgentSettings,
        inmfs: Mapping[InmfId, Inmf],
        *,
        record: AgentRecord | None = None,
        engine: Engine | None = None,
    ) -> None:
        """Begin unmanaged, with the baseline of each INMF.

        Args:
            profile: of the PLVN.
            settings: how it registers and reports.
            inmfs: what shall be managed, at least one.
            record: what an earlier run must not forget.
            engine: makes networks act; the installed one if it is None.
        """
        self.plvn = profile.plvn
        self.id: str = profile.plvn
        self.settings = settings
        self.planned = False
        """Whether the cloud twin has said that offline planning is over."""
        self.owner = Ownership(profile, settings, tuple(inmfs), record)
        used = engine or InstalledEngine()
        self.controllers = {
            name: InmfController(inmf, self.owner, used) for name, inmf in inmfs.items()
        }
        self.telemetry = Telemetry(inmfs)
        self.history: tuple[SlotMeasured, ...] = ()

    @property
    def granted(self) -> bool:
        """Whether an edge server manages the PLVN."""
        return self.owner.granted

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        """Take an input and say what shall happen."""
        match event:
            case Observed(observation=observation):
                return self._on_observation(observation)
            case Received():
                return self._on_message(event)
            case TimerFired(key=Timer.REGISTER):
                return self.owner.register()
            case TimerFired(key=Timer.LEASE):
                return self._on_lease()
            case Started():
                return [*self._on_lease(), *self.owner.register()]
            case TimerFired() | JobDone() | JobFailed():
                return []

    def goodbye(self) -> Sequence[Effect]:
        """Say that the agent leaves."""
        return [self._status("offline")]

    # Slots

    def _on_observation(self, observation: object) -> Sequence[Effect]:
        if not isinstance(observation, Observation):
            return [Count("observations_unknown")]
        match observation:
            case SlotMeasured():
                return self._on_slot(observation)
            case SlotActed(outcomes=outcomes):
                return [e for name, o in outcomes.items() for e in self.controllers[name].acted(o)]
            case BulkWanted(inmf=inmf):
                return [self.controllers[inmf].lend()]
            case BulkDriven():
                return self._on_driven(observation)
            case History(slots=slots):
                self.history = slots
                return self._upload_history() if self.granted else []
            case InmfFailed():
                return [Count(ERRORS)]
            case _:
                assert_never(observation)

    def _on_slot(self, slot: SlotMeasured) -> list[Effect]:
        """Decide this slot for each INMF whose own begins with it."""
        sound, effects = self._sound(slot)
        for name, measured in sound.items():
            effects += self.controllers[name].decide(measured, slot.traffic.sim_time_s)
        return [*effects, *self._on_telemetry(slot.traffic, sound)]

    def _sound(self, slot: SlotMeasured) -> tuple[dict[InmfId, InmfSlot], list[Effect]]:
        """The INMFs that are measured as they say, and a count of the others."""
        rows = {n: self.controllers[n].check(each.row) for n, each in slot.measured.items()}
        sound = {
            name: InmfSlot(slot.measured[name].slot, row)
            for name, row in rows.items()
            if row is not None
        }
        errors = len(rows) - len(sound)
        return sound, [Count(ERRORS, errors)] if errors else []

    def _on_telemetry(self, traffic: Traffic, measured: Mapping[InmfId, InmfSlot]) -> list[Effect]:
        if not self.granted:
            return [Count("slots_unowned")] if measured else []
        return self._report(self.telemetry.add(traffic, self._managed(measured)))

    def _on_driven(self, bulk: BulkDriven) -> list[Effect]:
        """Slots that a bulk source has driven: telemetry, batches and summaries of them."""
        driven, name = bulk.driven, bulk.inmf
        effects = self.controllers[name].driven(driven, bulk.traffic.sim_time_s)
        for number, finished in enumerate(driven.finished, driven.slot_first):
            effects += self._on_telemetry(bulk.traffic, {name: InmfSlot(number, finished.row)})
        return effects

    def _managed(self, measured: Mapping[InmfId, InmfSlot]) -> dict[InmfId, InmfSlot]:
        return {name: slot for name, slot in measured.items() if self.controllers[name].managed}

    def _report(self, reports: Sequence[Report]) -> list[Effect]:
        errors = self.telemetry.take_unfit()
        counts = [Count(ERRORS, errors)] if errors else []
        return [*(self.owner.publish(m, sim_time_s=time_s) for m, time_s in reports), *counts]

    def _upload_history(self) -> list[Effect]:
        slots, self.history = self.history, ()
        inmfs = {name: controller.inmf for name, controller in self.controllers.items()}
        earlier = Telemetry(inmfs, self.settings.history_slots)
        reports: list[Report] = []
        for slot in slots:
            reports += earlier.add(slot.traffic, self._managed(self._sound(slot)[0]))
        return self._report([*reports, *earlier.flush()])

    # Ownership

    def _on_message(self, received: Received) -> Sequence[Effect]:
        match received.message:
            case RegistrationGranted(grant=grant, unknown_inmfs=unknown):
                return self._on_grant(grant, unknown)
            case GrantRenewed(grant=grant):
                return self._on_grant(grant)
            case RegistrationRefused() as refused:
                return self.owner.on_refused(refused)
            case ModelDispatched() | BaselineOrdered() as order:
                return self._on_order(order, received)
            case UploadsAcknowledged() as acknowledged:
                is_owner = self.owner.is_owner(received)
                return [ConfirmUploads(acknowledged) if is_owner else NOT_OWNER]
            case MessageReturned() as returned:
                return self.owner.on_returned(returned, received)
            case CloudStatusReported(phase=phase, state=state):
                self.planned = state == "online" and phase == "online"
                return []
            case _:
                return []

    def _on_grant(self, grant: Grant, unknown: Sequence[InmfId] | None = None) -> list[Effect]:
        """Begin or go on under an owner; only a registration's answer says what nobody knows."""
        objection = self.owner.objection(grant)
        if objection is not None:
            return [objection]
        first = not self.granted
        effects = self.owner.take(grant)
        if unknown is not None:
            effects += self._leave_out(unknown)
        if not first:
            return effects
        asks = [
            self.owner.publish(ModelRequested(inmf=name))
            for name, controller in self.controllers.items()
            if controller.managed
        ]
        return [*effects, *self._upload_history(), *asks]

    def _leave_out(self, unknown: Sequence[InmfId]) -> list[Effect]:
        """INMFs that nobody knows run on the baseline, and nothing of them is uploaded."""
        left_out = 0
        for name, controller in self.controllers.items():
            left_out += controller.managed and name in unknown
            controller.managed = name not in unknown
        return [Count("inmfs_unknown", left_out)] if left_out else []

    def _on_order(
        self, order: ModelDispatched | BaselineOrdered, received: Received
    ) -> Sequence[Effect]:
        if not self.owner.is_order(received):
            return [NOT_OWNER]
        controller = self.controllers.get(order.inmf)
        if controller is not None:
            return controller.on_order(order, received.envelope.boot)
        effects: list[Effect] = [Count("models_refused")]
        if isinstance(order, ModelDispatched):
            refused = refusal(order, "unknown_inmf", f"{order.inmf} is not installed here")
            effects.insert(0, self.owner.publish(refused, inmf=order.inmf))
        return effects

    def _on_lease(self) -> list[Effect]:
        return [self._status("online"), StartTimer(Timer.LEASE, self.settings.lease_s / 3)]

    def _status(self, state: Literal["online", "offline"]) -> Publish:
        status = AgentStatusReported(state=state, lease_s=self.settings.lease_s)
        return Publish(status, Address(plvn=self.plvn))
