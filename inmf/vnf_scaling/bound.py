"""The clairvoyant bound: the best orders for loads that are known in advance."""

import numpy as np

from twintier.inmf.contract import BoundKind
from twintier.inmf.episodes import EpisodeBatch
from twintier.inmf.spec import Array
from twintier.inmf.vnf_scaling.episodes import VnfEpisodes
from twintier.inmf.vnf_scaling.foresight import BOUND_LEVELS, backward, best_value
from twintier.inmf.vnf_scaling.physics import HOLD


class Clairvoyant:
    """Exact but for backlogs, which are rounded down in the planner's favour.

    The lag is not relaxed: before the first effect the log says what runs, and what is ordered too
    late to run within the episode is not ordered.
    """

    kind: BoundKind = "clairvoyant"

    def __call__(self, batch: EpisodeBatch) -> Array:
        """Largest total reward of each episode that any actions earn, (episodes,).

        Raises:
            TypeError: if the episodes are of another INMF.
        """
        if not isinstance(batch, VnfEpisodes):
            raise TypeError(f"the bound of vnf-scaling is for its own episodes, not {batch!r}")
        slots = batch.spec.slots
        idle = batch.course(np.full((batch.episodes, slots, 1), HOLD))
        first = batch.lag.astype(np.intp) - 1
        found = np.zeros(batch.episodes)
        met = batch.trace.met[:, :slots]
        for slot, _, value in backward(
            met, batch.hidden, gamma=1.0, levels=BOUND_LEVELS, rounded_down=True
        ):
            begins = first == slot
            if begins.any():
                total, backlog_s = idle.ordered[:, 0, 0], idle.backlog_s[:, slot]
                earned = idle.reward[:, :slot].sum(axis=1)
                found = np.where(begins, earned + best_value(value, total, backlog_s), found)
        return found
