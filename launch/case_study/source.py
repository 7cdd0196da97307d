"""A source that plays tasks of the case study: the fields of its INMF come from the task itself.

It drives the slots of whole epochs, for observations do not depend on actions: an epoch is one
forward pass. Each model that shall explore plays one epoch, so what is played follows from models
alone and not from when they come; anything else that acts plays nothing.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from twintier.inmf.contract import Columns
from twintier.inmf.traffic import Traffic
from twintier.launch.case_study.epochs import INMF, PAPER, Network
from twintier.plvn_agent.policy import Driven, Finished, SlotPolicy
from twintier.plvn_agent.source import PlvnProfile, Source
from twintier.protocol.ids import InmfId, PlvnId


class TaskSource(Source):
    """Some PLVNs, each with a task; those without a network are only there."""

    def __init__(
        self, profiles: Sequence[PlvnProfile], networks: Sequence[Network] = (), episodes: int = 1
    ) -> None:
        """Take the PLVNs, the tasks of those that act, and the episodes of an epoch."""
        self._profiles = tuple(profiles)
        self._epoch_s = episodes * PAPER.spec.slots * PAPER.spec.slot_s
        self._networks = {network.plvn: network for network in networks}
        self._played: dict[PlvnId, int] = {}
        """Epochs of each PLVN, which is also the version of the newest model that has acted."""
        self._slot = 0

    @property
    def clock_id(self) -> str:
        """Of all case studies."""
        return "case-study"

    @property
    def slot_s(self) -> float:
        """An epoch: its slots are driven at once."""
        return self._epoch_s

    @property
    def plvns(self) -> Sequence[PlvnProfile]:
        """As they were given."""
        return self._profiles

    @property
    def bulk(self) -> Sequence[InmfId]:
        """The paper's INMF."""
        return (INMF,)

    async def start(self) -> None:
        """Nothing to build up."""

    async def stop(self) -> None:
        """Nothing to end."""

    def history(self, plvn: PlvnId) -> Sequence[Traffic]:
        """None: the first epoch is the first that is seen."""
        del plvn
        return ()

    async def observe(self) -> Mapping[PlvnId, Traffic]:
        """One epoch of time passes."""
        self._slot += 1
        seen = Traffic(self._slot, self._slot * self.slot_s, None)
        return {profile.plvn: seen for profile in self._profiles}

    async def advance(self, plvn: PlvnId, inmf: InmfId, policy: SlotPolicy, slots: int) -> Driven:
        """An epoch with a model that has not played one, or nothing."""
        del inmf
        model, epoch = policy.model, self._played.get(plvn, 0)
        if model is None or model.rng is None or policy.version <= epoch:
            return Driven(policy, epoch * slots, ())
        columns = self._networks[plvn].play(model.actor, epoch)
        self._played[plvn] = epoch + 1
        return Driven(policy, epoch * slots, _finished(policy, columns, slots))


def _finished(policy: SlotPolicy, columns: Columns, slots: int) -> tuple[Finished, ...]:
    rows = ({name: np.asarray(array[n]) for name, array in columns.items()} for n in range(slots))
    return tuple(Finished(policy.acts, policy.version, row) for row in rows)
