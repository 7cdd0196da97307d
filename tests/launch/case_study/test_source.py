import asyncio
from dataclasses import dataclass

import numpy as np

from twintier.inmf.actor import Actor, PolicySpec
from twintier.inmf.perception.paper import TASK_LOW
from twintier.launch.case_study.epochs import INMF, PAPER, Network
from twintier.launch.case_study.source import TaskSource
from twintier.plvn_agent.policy import Driven, Model, SlotPolicy
from twintier.plvn_agent.source import PlvnProfile
from twintier.protocol.ids import PlvnId
from twintier.protocol.messages import Site

P1 = PlvnId("p1")
NETWORK = Network(P1, TASK_LOW, 2, seed=3)
SLOTS = 150
SPEC = PolicySpec.of(PAPER.spec)
ACTOR = Actor(SPEC, np.zeros(SPEC.parameters, np.float32))


@dataclass
class Played:
    """A PLVN that acts by what it is told to."""

    source: TaskSource
    policy: SlotPolicy

    def advance(self) -> Driven:
        return asyncio.run(self.source.advance(P1, INMF, self.policy, SLOTS))


def begun() -> Played:
    site = Site(city="task-1", road="any", lat_deg=0.0, lon_deg=0.0)
    return Played(TaskSource([PlvnProfile(P1, site)], [NETWORK], 2), SlotPolicy(PAPER))


def exploring() -> Model:
    return Model(ACTOR, np.random.default_rng(0))


def test_the_baseline_and_a_greedy_model_play_nothing() -> None:
    plvn = begun()
    assert plvn.advance().finished == ()
    plvn.policy.obey(Model(ACTOR), 1)
    assert plvn.advance().finished == ()


def test_an_exploring_model_plays_one_epoch_and_waits_for_the_next_model() -> None:
    plvn = begun()
    plvn.policy.obey(exploring(), 1)
    driven = plvn.advance()
    assert (driven.slot_first, len(driven.finished)) == (0, SLOTS)
    assert plvn.advance() == Driven(plvn.policy, SLOTS, ())
    plvn.policy.obey(exploring(), 2)
    driven = plvn.advance()
    assert (driven.slot_first, len(driven.finished)) == (SLOTS, SLOTS)
    assert {finished.version for finished in driven.finished} == {2}


def test_what_is_played_is_the_epoch_of_the_direct_path() -> None:
    plvn = begun()
    plvn.policy.obey(exploring(), 1)
    columns = NETWORK.play(ACTOR, 0)
    rows = [finished.row for finished in plvn.advance().finished]
    assert {name: np.stack([row[name] for row in rows]).tolist() for name in columns} == {
        name: array.tolist() for name, array in columns.items()
    }
