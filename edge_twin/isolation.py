"""An error in one INMF's code costs that INMF on that PLVN, never the process.

INMFs come from other packages too. What they raise is not ours to foresee, so here every exception
is caught, counted and answered: the baseline acts, and the next attempt waits.
"""

from collections.abc import Callable
from typing import TypeVar

from twintier.edge_twin.adaptation import ManagedInmf
from twintier.edge_twin.life_cycle import Waiting, follows
from twintier.protocol.columns import ColumnsError
from twintier.runtime.effects import Count, Effect

T = TypeVar("T")
LONGEST_WAIT = 6
"""Doublings of the wait after errors in a row."""


def spared(managed: ManagedInmf, call: Callable[[], T]) -> T | None:
    """What an INMF's code says, or nothing if it raises; only for what can be done without."""
    try:
        return call()
    except Exception:  # noqa: BLE001  # see above
        managed.errors += 1
        return None


def incomplete(managed: ManagedInmf) -> Count:
    """That slots of an INMF do not fit what it says."""
    return Count(f"incomplete_slots.{managed.id}")


def guarded(managed: ManagedInmf, call: Callable[[], list[Effect]]) -> list[Effect]:
    """What follows from a call into an INMF, whatever its code raises."""
    try:
        return call()
    except ColumnsError:
        return [incomplete(managed)]
    except Exception as error:  # noqa: BLE001  # see above
        managed.errors += 1
        wait = managed.windows.exchange * 2 ** min(managed.errors, LONGEST_WAIT)
        waiting = Waiting(managed.mirror.trajectories.next_slot, wait)
        managed.state = follows(managed.state, "inmf failed", waiting)
        managed.model = managed.last_good = None
        reason = f"{type(error).__name__} in {managed.id}: {error}"
        return [*managed.orders.baseline(reason[:512]), Count(f"inmf_errors.{managed.id}")]
