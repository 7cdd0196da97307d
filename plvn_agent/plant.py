"""The physical side of one PLVN: what each INMF measures there, and what its actions are worth.

Fields come from the source where it brings those of an INMF itself, else from the INMF's world. An
error of either costs that INMF only, in that slot.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import structlog

from twintier.inmf.contract import Inmf, Row, World
from twintier.inmf.schema import actions_of
from twintier.inmf.traffic import Traffic
from twintier.plvn_agent.slots import InmfFailed, InmfSlot, SlotMeasured
from twintier.plvn_agent.source import PlvnProfile, Source, SourceError
from twintier.protocol.ids import InmfId
from twintier.runtime.effects import Actuate

log = structlog.get_logger()


def slots_per_slot(inmf: Inmf, source: Source) -> int:
    """Slots of the source in one of the INMF.

    Raises:
        SourceError: if the INMF's slots are shorter than the source's, or no multiple of them.
    """
    ratio = inmf.spec.slot_s / source.slot_s
    if round(ratio) < 1 or abs(ratio - round(ratio)) > 1e-6:
        raise SourceError(
            f"{inmf.spec.inmf} has slots of {inmf.spec.slot_s} s, which are no multiple of the "
            f"{source.slot_s} s of {source.clock_id}; use a source with slots that fit"
        )
    return round(ratio)


@dataclass(slots=True)
class _Managed:
    """One INMF in the PLVN."""

    inmf: Inmf
    every: int
    """It is measured in each so many slots of the source."""
    world: World | None
    failure: InmfFailed | None = None
    """Why there is no world, though the INMF states one."""
    from_source: bool = False
    """Whether the source has brought the fields of the present slot."""
    warned: bool = False
    """Whether somebody was told that nobody measures it."""


class Plant:
    """Measures and acts in one PLVN for all of its INMFs."""

    def __init__(
        self,
        profile: PlvnProfile,
        source: Source,
        inmfs: Mapping[InmfId, Inmf],
        *,
        strength: float = 0.0,
    ) -> None:
        """Build the worlds of the INMFs that state one, where the source has something to show.

        Args:
            profile: of the PLVN.
            source: started already.
            inmfs: whose slots this source's slots carry.
            strength: of effects in worlds that emulators do not know.

        Raises:
            SourceError: if slots of an INMF do not fit the source's.
        """
        self.profile = profile
        self._source = source
        seed = source.world_seed(profile.plvn)
        self._managed: dict[InmfId, _Managed] = {}
        for name, inmf in inmfs.items():
            managed = self._managed[name] = _Managed(inmf, slots_per_slot(inmf, source), None)
            try:
                if seed is not None:
                    managed.world = inmf.world(profile.site, seed, strength=strength)
            except Exception as error:  # noqa: BLE001  # an INMF's code: costs that INMF only
                managed.failure = _failure(name, "cannot build its world", error)

    def world(self, inmf: InmfId) -> World | None:
        """The world of an INMF, for those who watch a simulation."""
        managed = self._managed.get(inmf)
        return None if managed is None else managed.world

    def measure(self, traffic: Traffic) -> tuple[SlotMeasured, list[InmfFailed]]:
        """What the INMFs measure whose slots begin with this one, and whose code has failed.

        Raises:
            SourceError: if the source has died.
        """
        measured: dict[InmfId, InmfSlot] = {}
        failed: list[InmfFailed] = []
        for name, managed in self._managed.items():
            if traffic.slot % managed.every:
                continue
            if managed.failure is not None:
                failed.append(managed.failure)
                continue
            try:
                row = self._row(name, managed, traffic)
            except SourceError:
                raise
            except Exception as error:  # noqa: BLE001  # an INMF's code: costs that INMF this slot
                failed.append(_failure(name, "cannot be measured", error))
                continue
            if row is not None:
                measured[name] = InmfSlot(traffic.slot // managed.every, row)
        return SlotMeasured(traffic, measured), failed

    def act(self, seen: SlotMeasured, actuate: Actuate) -> InmfSlot | InmfFailed:
        """Carry out an action in the slot measured last; what it was worth.

        Raises:
            SourceError: if the source has died.
        """
        name = actuate.inmf
        managed = self._managed[name]
        action = actions_of(managed.inmf.spec.actions, np.asarray(actuate.action))
        try:
            if managed.from_source:
                outcome = self._source.act(self.profile.plvn, name, action)
            else:
                assert managed.world is not None, "an INMF was measured that has no world"
                outcome = managed.world.act(action)
        except SourceError:
            raise
        except Exception as error:  # noqa: BLE001  # as above
            return _failure(name, "cannot act", error)
        return InmfSlot(seen.measured[name].slot, outcome)

    def _row(self, name: InmfId, managed: _Managed, traffic: Traffic) -> Row | None:
        row = self._source.fields(self.profile.plvn, name)
        managed.from_source = row is not None
        if row is None and managed.world is not None:
            row = managed.world.measure(traffic)
        if row is None and not managed.warned:
            managed.warned = True
            log.warning(
                "inmf_not_measured",
                inmf=name,
                plvn=self.profile.plvn,
                reason="it states no world, and the source brings no fields of it",
            )
        return row


def _failure(name: InmfId, what: str, error: Exception) -> InmfFailed:
    reason = f"{what}: {type(error).__name__}: {error}"
    log.error("inmf_failed", inmf=name, reason=reason)
    return InmfFailed(name, reason)
