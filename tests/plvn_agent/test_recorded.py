"""An agent is recorded and played back, with everything that its INMFs remember."""

from pathlib import Path

import numpy as np

from tests.plvn_agent.agents import PROFILE, granted, model, received
from tests.support.names import COOP_PERCEPTION
from twintier.inmf.perception.inmf import CoopPerception
from twintier.inmf.traffic import Traffic, WorldSeed
from twintier.plvn_agent.core import AgentCore
from twintier.plvn_agent.settings import AgentSettings
from twintier.plvn_agent.slots import BulkWanted, InmfSlot, SlotActed, SlotMeasured
from twintier.runtime.core import Input, Observed
from twintier.runtime.effects import Actuate
from twintier.runtime.recording.recorder import RecordedCore, read_beginning, read_steps
from twintier.runtime.recording.replay import replay

INMF = CoopPerception()


def drive(core: RecordedCore, slots: range) -> None:
    world = INMF.world(PROFILE.site, WorldSeed(1, PROFILE.plvn))
    for slot in slots:
        traffic = Traffic(
            slot,
            float(slot),
            8.0,
            human_driven=10.0,
            link_objects=np.full(3, 4.0),
            link_distance_m=np.full(3, 20.0),
            link_present=np.ones(3, bool),
        )
        measured = InmfSlot(slot, world.measure(traffic))
        seen: Input = Observed(SlotMeasured(traffic, {COOP_PERCEPTION: measured}))
        (act,) = [e for e in core.receive(seen, float(slot)) if isinstance(e, Actuate)]
        outcome = InmfSlot(slot, world.act(np.array(act.action) > 0.5))
        core.receive(Observed(SlotActed({COOP_PERCEPTION: outcome})), float(slot))


def test_playing_back_gives_the_same_actions_and_uploads(tmp_path: Path) -> None:
    path = tmp_path / "inbox"
    agent = AgentCore(PROFILE, AgentSettings(), {COOP_PERCEPTION: INMF})
    core = RecordedCore(agent, path)
    core.receive(granted(), 0.0)
    drive(core, range(40))
    core.receive(received(model(3, INMF, sampled=True)), 40.0)
    drive(core, range(40, 80))
    core.receive(Observed(BulkWanted(COOP_PERCEPTION)), 80.0)
    beginning = read_beginning(path).core
    assert isinstance(beginning, AgentCore)
    outcome = replay(beginning, read_steps(path))
    assert (outcome.steps, outcome.difference) == (2 + 160 + 1, None)
    assert beginning.controllers[COOP_PERCEPTION].policy.version == 3
