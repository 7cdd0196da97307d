"""An individual model and its place in its life cycle. Pure values."""

from dataclasses import dataclass

from twintier.inmf.contract import Emulator
from twintier.learning.policy import Vector
from twintier.protocol.ids import InmfId, ModelId, PlvnId
from twintier.protocol.messages import IndividualModelReported


@dataclass(frozen=True, slots=True)
class IndividualModel:
    """The model of one PLVN and INMF, with what it was made from; kept on disk while in force."""

    plvn: PlvnId
    inmf: InmfId
    version: int
    model: ModelId
    parameters: Vector
    start: Vector
    """Parameters that its adaptation began from."""
    emulator: Emulator | None
    """The fitted emulator that it was compared in; None where the INMF has none."""
    report: IndividualModelReported
    """What is told of it; its state is the present one."""


@dataclass(frozen=True, slots=True)
class IndividualModelDeleted:
    """A record for the store: this version is gone."""

    plvn: PlvnId
    inmf: InmfId
    version: int
