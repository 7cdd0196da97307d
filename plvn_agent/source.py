"""The port through which an agent sees its PLVN: real vehicles, SUMO, or the built-in simulator.

A source advances in slots of simulated time and says what every PLVN looks like. It names no INMF:
the world of an INMF makes its fields of what a source shows. A source that is no traffic, such as
real vehicles or a wrapped environment, brings the fields of INMFs itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from twintier.inmf.contract import Row
from twintier.inmf.episodes import Actions
from twintier.inmf.traffic import Traffic, WorldSeed
from twintier.plvn_agent.policy import Driven, SlotPolicy
from twintier.protocol.ids import InmfId, PlvnId
from twintier.protocol.messages import Site


class SourceError(Exception):
    """The source cannot start or go on; the message says what to mend."""


def failure_of(source: str, what: str, error: Exception) -> str:
    """What is said of a source whose code raised something of its own."""
    return f"{source} could not {what}: {type(error).__name__}: {error}"


@dataclass(frozen=True, slots=True)
class PlvnProfile:
    """A PLVN of a source."""

    plvn: PlvnId
    site: Site


class Source(Protocol):
    """Advances its PLVNs slot by slot; one source per process drives one simulated clock.

    What has a body here is inherited by sources that name this class as their base.
    """

    @property
    def clock_id(self) -> str:
        """Names the simulated clock in envelopes."""
        ...

    @property
    def slot_s(self) -> float:
        """Simulated seconds of a slot; those of an INMF are whole multiples of it."""
        ...

    @property
    def plvns(self) -> Sequence[PlvnProfile]:
        """The PLVNs, known once started."""
        ...

    async def start(self) -> None:
        """Build up, warm up, place PLVNs.

        Raises:
            SourceError: if that is impossible.
        """
        ...

    def history(self, plvn: PlvnId) -> Sequence[Traffic]:
        """Slots before the first observed one, such as of the warm-up; may be empty."""
        ...

    async def observe(self) -> Mapping[PlvnId, Traffic]:
        """Advance by one slot and see every PLVN.

        Raises:
            SourceError: if the source has died.
        """
        ...

    async def stop(self) -> None:
        """End everything that the source started; may be called again."""
        ...

    def world_seed(self, plvn: PlvnId) -> WorldSeed | None:
        """What worlds of INMFs follow from; None where there is nothing to simulate."""
        del plvn
        return None

    def fields(self, plvn: PlvnId, inmf: InmfId) -> Row | None:
        """Measured fields of the present slot, where the source brings those of the INMF itself."""
        del plvn, inmf
        return None

    def act(self, plvn: PlvnId, inmf: InmfId, action: Actions) -> Row:
        """Carry out an action in the present slot of an INMF whose fields the source brings.

        Returns:
            Its outcome fields, `action` as carried out and `reward`.

        Raises:
            SourceError: if the source brings no fields of this INMF.
        """
        del action
        raise SourceError(f"{self.clock_id} carries out no actions of {inmf} in {plvn}")


@runtime_checkable
class BulkSource(Protocol):
    """A source that drives slots of some INMFs itself, because they are shorter than a message."""

    @property
    def bulk(self) -> Sequence[InmfId]:
        """INMFs whose slots it drives itself."""
        ...

    async def advance(self, plvn: PlvnId, inmf: InmfId, policy: SlotPolicy, slots: int) -> Driven:
        """Drive consecutive slots, asking the policy in each.

        The policy is a plain function from measured fields to an action, which is then told the
        outcome; it can be pickled, so a child process may do all of this. `policy.drive` is the
        whole loop for a source that can measure and act.

        Raises:
            SourceError: if the source has died.
        """
        ...
