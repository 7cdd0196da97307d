"""What an agent is given of its source: slots before it decides, and what came of decisions."""

from collections.abc import Mapping
from dataclasses import dataclass

from twintier.inmf.contract import Row
from twintier.inmf.traffic import Traffic
from twintier.plvn_agent.policy import Driven
from twintier.protocol.ids import InmfId


@dataclass(frozen=True, slots=True)
class InmfSlot:
    """One slot as an INMF measures it; slots are numbered by the INMF's own length."""

    slot: int
    row: Row


@dataclass(frozen=True, slots=True)
class SlotMeasured:
    """A slot of the source, with those INMFs whose slots begin with it."""

    traffic: Traffic
    measured: Mapping[InmfId, InmfSlot]


@dataclass(frozen=True, slots=True)
class SlotActed:
    """What actions in the slot measured last were worth: outcome fields, action and reward."""

    outcomes: Mapping[InmfId, InmfSlot]


@dataclass(frozen=True, slots=True)
class History:
    """Slots before the first that is decided, such as of a warm-up."""

    slots: tuple[SlotMeasured, ...]


@dataclass(frozen=True, slots=True)
class InmfFailed:
    """The code of an INMF, or of a source for it, has failed outside the agent."""

    inmf: InmfId
    reason: str


@dataclass(frozen=True, slots=True)
class BulkWanted:
    """A bulk source asks for the policy that shall decide its next slots."""

    inmf: InmfId


@dataclass(frozen=True, slots=True)
class BulkDriven:
    """What a bulk source has driven, as seen in the traffic of its last slot."""

    inmf: InmfId
    traffic: Traffic
    driven: Driven


Observation = SlotMeasured | SlotActed | History | InmfFailed | BulkWanted | BulkDriven
