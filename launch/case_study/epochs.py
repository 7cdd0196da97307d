"""One epoch of the case study: a PLVN plays it, the wire carries it, the twin learns from it.

Both paths are made of these functions, with and without a bus between them, so their curves are the
same bit by bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twintier.inmf.contract import ACTION, LOG_PROB, REWARD, SAMPLE, Columns
from twintier.inmf.perception.paper import PaperEpisodes
from twintier.inmf.perception.paper_inmf import PaperPerception
from twintier.inmf.schema import trajectory_fields
from twintier.inmf.spec import Array
from twintier.inmf.traffic import WorldSeed
from twintier.learning.policy import Policy, Vector, entropy
from twintier.plvn_agent.policy import Actor
from twintier.protocol.columns import pack, unpack
from twintier.protocol.ids import InmfId, PlvnId

PAPER = PaperPerception()
INMF = InmfId(PAPER.spec.inmf)
FIELDS = trajectory_fields(PAPER, sampled=True)


@dataclass(frozen=True, slots=True)
class Curves:
    """What one seed of an arm shows."""

    reward_j: Array
    """(epochs,) mean return of the epoch's episodes, before the epoch's update."""
    entropy: Array
    """(epochs,) of the policy that played them."""

    @classmethod
    def of(cls, points: Sequence[tuple[float, float]]) -> "Curves":
        """Of the points of all epochs, in order."""
        rewards_j = np.array([reward_j for reward_j, _ in points])
        return cls(rewards_j, np.array([entropy_nat for _, entropy_nat in points]))


@dataclass(frozen=True, slots=True)
class Network:
    """The side of the PLVN: its task, and the seed that all of its randomness follows from."""

    plvn: PlvnId
    pattern_mhz: Array
    """(slots,) mean bandwidth of each slot (mu)."""
    episodes: int
    """Of an epoch."""
    seed: int

    def play(self, actor: Actor, epoch: int) -> Columns:
        """Columns (episodes * slots, *shape) of an epoch that an actor explores."""
        rng = WorldSeed(self.seed, self.plvn).generator(f"epoch {epoch}")
        batch = PaperEpisodes(self.pattern_mhz, self.episodes, rng)
        actions, sample, log_prob = actor.sample(batch.observe_all(), rng)
        columns = {
            "bandwidth_hz": batch.bandwidth_hz,
            "objects": batch.objects,
            "distance_m": batch.distance_m,
            ACTION: actions,
            REWARD: batch.rewards(actions),
            SAMPLE: sample,
            LOG_PROB: log_prob,
        }
        return {
            name: np.asarray(array, np.float64).reshape(-1, *array.shape[2:])
            for name, array in columns.items()
        }


def travelled(columns: Columns) -> Columns:
    """Columns as they are once they have crossed a bus, rounded to float32."""
    return unpack(pack(columns, FIELDS), FIELDS)


def point(policy: Policy, flat: Vector, columns: Columns) -> tuple[float, float]:
    """Mean return of an epoch's episodes in J, and entropy of what has played it in nats."""
    reward_j = float(columns[REWARD].reshape(-1, PAPER.spec.slots).sum(axis=-1).mean())
    return reward_j, entropy(policy, flat, PAPER.observe(columns))
