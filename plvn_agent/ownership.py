"""Registration, and whom an agent obeys: the owner that the newest grant names, and nobody else."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from twintier.inmf.traffic import WorldSeed
from twintier.plvn_agent.keys import Timer
from twintier.plvn_agent.settings import AgentSettings
from twintier.plvn_agent.source import PlvnProfile
from twintier.protocol.address import Address
from twintier.protocol.ids import EdgeId, InmfId, PlvnId
from twintier.protocol.messages import (
    Grant,
    MessageReturned,
    RegistrationRefused,
    RegistrationRequested,
)
from twintier.protocol.messages.base import Message
from twintier.protocol.signing import is_grant_by
from twintier.protocol.values import Fence
from twintier.runtime.core import Received
from twintier.runtime.effects import (
    CancelTimer,
    ConfirmUploads,
    Count,
    Effect,
    Publish,
    Save,
    StartTimer,
    count_of,
)

MAX_RETRY_FACTOR = 16
NOT_OWNER = Count("not_owner")


@dataclass(frozen=True, slots=True, order=True)
class Order:
    """An order that was obeyed, counted by the owner's process; what is less is void."""

    owner_boot: str = ""
    version: int = 0


NO_ORDER = Order()


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """What an agent must not forget: whom it obeys, and what it has obeyed last."""

    plvn: PlvnId
    edge: EdgeId
    fence: Fence
    orders: tuple[tuple[InmfId, Order], ...] = ()
    """The newest of each INMF."""

    def newest(self, inmf: InmfId) -> Order:
        """The newest order for an INMF that was obeyed."""
        return dict(self.orders).get(inmf, NO_ORDER)

    def obeying(self, inmf: InmfId, order: Order) -> "AgentRecord":
        """The record after another order."""
        return replace(self, orders=tuple(sorted({**dict(self.orders), inmf: order}.items())))


class Ownership:
    """Who owns the twin of one PLVN."""

    def __init__(
        self,
        profile: PlvnProfile,
        settings: AgentSettings,
        requested_inmfs: tuple[InmfId, ...],
        record: AgentRecord | None,
    ) -> None:
        """Begin with what is remembered; nothing is granted yet."""
        self.plvn = profile.plvn
        self.record = record
        self.granted = False
        """Whether a grant was seen in this run; before that nothing is uploaded."""
        self._site = profile.site
        self._settings = settings
        self._requested = requested_inmfs
        self._owner_key = ""
        """Of the owner that the grant names; checks its orders."""
        self._retries = 0

    def register(self) -> list[Effect]:
        """Ask to be managed, and again until there is an answer."""
        if self.granted:
            return []
        request = RegistrationRequested(site=self._site, requested_inmfs=self._requested)
        pause_s = self._settings.retry_s * min(2**self._retries, MAX_RETRY_FACTOR)
        jitter = WorldSeed(self._retries, self.plvn).generator("register").uniform(0.5, 1.5)
        self._retries += 1
        return [
            Publish(request, Address(plvn=self.plvn)),
            StartTimer(Timer.REGISTER, pause_s * jitter),
        ]

    def on_refused(self, refused: RegistrationRefused) -> list[Effect]:
        """Ask again when the cloud twin says."""
        pause = StartTimer(Timer.REGISTER, max(refused.retry_s, 0.1))
        return [pause, Count("registrations_refused")]

    def objection(self, grant: Grant) -> Count | None:
        """Why a grant changes nothing; None if it is in force."""
        if grant.plvn != self.plvn:
            return NOT_OWNER
        if self._settings.cloud_key and not is_grant_by(self._settings.cloud_key, grant):
            return Count("grants_forged")
        if self.record is not None and grant.fence < self.record.fence:
            return Count("stale_fence")
        return None

    def take(self, grant: Grant) -> list[Effect]:
        """Obey the owner that a grant in force names; another one's orders count anew."""
        before = self.record
        record = AgentRecord(self.plvn, grant.edge, grant.fence)
        if before is not None and before.edge == grant.edge:
            record = replace(before, fence=grant.fence)
        self._owner_key = grant.edge_key
        self.granted = True
        effects: list[Effect] = [CancelTimer(Timer.REGISTER)]
        if record != self.record:
            self.record = record
            effects.append(Save(record))
        return effects

    def obey(self, inmf: InmfId, order: Order) -> Save:
        """Remember the newest order of an INMF."""
        assert self.record is not None
        self.record = self.record.obeying(inmf, order)
        return Save(self.record)

    def newest(self, inmf: InmfId) -> Order:
        """The newest order for an INMF that was ever obeyed under this owner."""
        return NO_ORDER if self.record is None else self.record.newest(inmf)

    def is_owner(self, received: Received) -> bool:
        """Whether the newest grant names the sender, and the sender is who it says."""
        record, signature = self.record, received.signature
        if record is None or received.envelope.src != f"edge:{record.edge}":
            return False
        if not self._settings.cloud_key:
            return True
        return signature is not None and signature.is_by(self._owner_key)

    def is_order(self, received: Received) -> bool:
        """Whether the sender is the owner and speaks under the grant in force."""
        fence = None if self.record is None else self.record.fence
        return received.envelope.fence == fence and self.is_owner(received)

    def on_returned(self, returned: MessageReturned, received: Received) -> Sequence[Effect]:
        """A message of ours was refused; uploads go to the owner, so only it ends one."""
        is_owner = self.is_owner(received)
        if not is_owner and received.envelope.role != "cloud":
            return [NOT_OWNER]
        confirmed = [ConfirmUploads(returned)] if is_owner else []
        return [*confirmed, count_of(returned)]

    def publish(
        self, message: Message, *, inmf: InmfId | None = None, sim_time_s: float | None = None
    ) -> Publish:
        """A message under the grant in force; there must be one."""
        assert self.record is not None
        to = Address(plvn=self.plvn, inmf=inmf)
        return Publish(message, to, fence=self.record.fence, sim_time_s=sim_time_s)
