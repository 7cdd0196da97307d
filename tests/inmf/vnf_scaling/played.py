"""Small episodes and simulated slots for the tests of VNF scaling."""

import itertools

import numpy as np
import numpy.typing as npt

from twintier.inmf.check.subject import SITE, Policy, as_columns, play_world
from twintier.inmf.contract import Columns
from twintier.inmf.spec import Array
from twintier.inmf.traffic import WorldSeed
from twintier.inmf.vnf_scaling.episodes import LoadTrace, Start, VnfEpisodes
from twintier.inmf.vnf_scaling.inmf import VnfScaling
from twintier.inmf.vnf_scaling.physics import LOG
from twintier.inmf.vnf_scaling.slots import Loads
from twintier.inmf.vnf_scaling.world import VnfWorld


def hidden_of(*, weight: float = 2.0, cost: float = 0.1, lag: int = 1) -> Array:
    """Hidden parameters of all episodes, (1, 3)."""
    return np.array([[weight, cost, float(lag)]])


def episodes_of(
    met: Array, hidden: Array, *, instances: float = 3.0, backlog_s: float = 0.0
) -> VnfEpisodes:
    """Episodes that meet these loads, (episodes, slots), as short as they are.

    The load before the first slot is 2, and there were no others.
    """
    episodes, slots = met.shape
    before = np.concatenate([np.full((episodes, 1), 2.0), met[:, :-1]], axis=1)
    memory, loads = Loads.none(episodes), []
    for slot in range(slots):
        memory = memory.followed_by(before[:, slot])
        loads.append(memory)
    start = Start(np.full((episodes, LOG), instances), np.full(episodes, backlog_s))
    return VnfEpisodes(LoadTrace(tuple(loads), before, met), hidden, start)


def every_course(slots: int) -> npt.NDArray[np.int64]:
    """All sequences of choices, (4^slots, slots, 1)."""
    return np.array(list(itertools.product(range(4), repeat=slots)))[..., None]


def simulated(
    slots: int, *, seed: int = 0, strength: float = 0.0, policy: Policy | None = None
) -> tuple[Columns, Array]:
    """Slots of a world without events, and its hidden parameters (3,)."""
    world = VnfWorld(SITE, WorldSeed(seed, f"plvn-{seed}", constant=True), strength)
    rows = play_world(VnfScaling(), world, slots, np.random.default_rng(seed), policy)
    return as_columns([{**row, **outcome} for row, outcome in rows]), world.condition_at(
        0.0
    ).as_array()
