"""The checker of `bench kill` finds what is said before it is kept, lost and doubled."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bench._invariants import Said, broken_in_cloud, broken_in_edge, effects_of
from tests.cloud_twin.world import P1, cloud, hosted, received, registration, status
from tests.support.names import COOP_PERCEPTION
from tests.support.wire import sample
from twintier.cloud_twin.store import CloudStore
from twintier.edge_twin.mirror import KeptTrajectories
from twintier.edge_twin.store import EdgeStore
from twintier.plvn_agent.store import AgentStore
from twintier.protocol.address import Address
from twintier.protocol.codec import Decoded
from twintier.protocol.messages import TrajectoriesReported, TwinRegistered
from twintier.runtime.effects import Effect, Publish, Save
from twintier.runtime.storage.journal import Upload

STEPS = 4
"""Saves and messages of a registration: the twin's record, its placement, two confirmations."""


def in_order(effects: Sequence[Effect], *, save_first: bool) -> list[Save | Publish]:
    saves = [effect for effect in effects if isinstance(effect, Save)]
    posts = [effect for effect in effects if isinstance(effect, Publish)]
    return [*saves, *posts] if save_first else [*posts, *saves]


def killed_after(steps: int, folder: Path, *, save_first: bool) -> list[str]:
    """What is wrong in a cloud twin that registered a PLVN and was killed after so many steps."""
    core, store, said = cloud(), CloudStore(folder), Said()
    for taken in (status(), registration(), hosted()):
        for effect in in_order(core.receive(taken, 0.0), save_first=save_first):
            if steps == 0:
                break
            steps -= 1
            if isinstance(effect, Save):
                store.save([effect.record])
            elif isinstance(effect, Publish):
                envelope = received(effect.message, effect.to).envelope
                said.take(Decoded(envelope, effect.message, effect.to))
    store.close()
    return list(broken_in_cloud(said, folder / "cloud.sqlite"))


def test_a_store_that_is_saved_first_is_never_behind_what_was_said(tmp_path: Path) -> None:
    for steps in range(STEPS + 1):
        assert killed_after(steps, tmp_path / str(steps), save_first=True) == []


def test_a_switched_order_is_found(tmp_path: Path) -> None:
    found = [killed_after(n, tmp_path / str(n), save_first=False) for n in range(STEPS + 1)]
    assert ["grant of p1 with fence 1, kept is None"] in found


def test_a_twin_that_is_confirmed_and_not_kept_is_found(tmp_path: Path) -> None:
    said = Said()
    confirmed = hosted()
    assert isinstance(confirmed.message, TwinRegistered)
    said.take(Decoded(confirmed.envelope, confirmed.message, confirmed.address))
    EdgeStore(tmp_path).close()
    found = list(broken_in_edge(said, tmp_path / "edge.sqlite"))
    assert found == [f"twin of {P1} is confirmed and not kept"]


@pytest.mark.parametrize(
    ("kept", "waiting", "lost", "doubled"),
    [(1, False, 0, 0), (0, True, 0, 0), (0, False, 1, 0), (2, False, 0, 1)],
)
def test_a_batch_has_one_effect_or_waits(
    tmp_path: Path,
    kept: int,
    waiting: bool,  # noqa: FBT001  # a parameter
    lost: int,
    doubled: int,
) -> None:
    message = sample(TrajectoriesReported)
    assert isinstance(message, TrajectoriesReported)
    at = Address(plvn=P1, inmf=COOP_PERCEPTION)
    envelope = received(message, at).envelope
    said = Said()
    said.take(Decoded(envelope, message, at))
    edge, agents = EdgeStore(tmp_path), AgentStore(tmp_path / "agent.sqlite")
    edge.save([KeptTrajectories(P1, COOP_PERCEPTION, message)] * kept)
    if waiting:
        place = (envelope.src, envelope.boot, envelope.stream, envelope.seq)
        agents.save([Upload(*place, "topic", b"", np.inf)])
    edge.close()
    agents.close()
    effects = effects_of(said, tmp_path / "edge.sqlite", tmp_path / "agent.sqlite")
    assert (len(effects.lost), len(effects.doubled)) == (lost, doubled)
