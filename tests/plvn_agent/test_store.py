"""What agents must not forget outlives their process, and the release that wrote it."""

import shutil
from pathlib import Path

import pytest

from twintier.plvn_agent.ownership import AgentRecord, Order
from twintier.plvn_agent.store import AgentStore
from twintier.protocol.ids import EdgeId, InmfId, PlvnId
from twintier.protocol.upcast import FIRST_INMF
from twintier.protocol.values import Fence

KEPT = Path(__file__).parents[1] / "kept" / "0.1" / "agent-builtin-1.sqlite"
P1 = PlvnId("p1")
RECORD = AgentRecord(
    P1, EdgeId("e1"), Fence(2), ((InmfId("a"), Order("b1", 3)), (InmfId("b"), Order("b2", 1)))
)


def test_orders_of_each_inmf_are_remembered(tmp_path: Path) -> None:
    path = tmp_path / "new" / "agent.sqlite"
    store = AgentStore(path)
    store.save([RECORD])
    store.close()
    again = AgentStore(path)
    assert again.load(P1) == RECORD
    assert again.load(PlvnId("p2")) is None
    again.close()


def test_another_owner_forgets_the_orders_of_the_one_before(tmp_path: Path) -> None:
    store = AgentStore(tmp_path / "agent.sqlite")
    moved = AgentRecord(P1, EdgeId("e2"), Fence(3))
    store.save([RECORD, moved])
    assert store.load(P1) == moved
    store.close()


def test_a_file_of_the_first_release_is_taken_over(tmp_path: Path) -> None:
    path = Path(shutil.copy(KEPT, tmp_path))
    for _ in range(2):  # taking over twice changes nothing
        store = AgentStore(path)
        assert store.load(PlvnId("toronto-highway-1")) == AgentRecord(
            PlvnId("toronto-highway-1"),
            EdgeId("edge-1"),
            Fence(1),
            ((InmfId(FIRST_INMF), Order("1a22e89143b-cffbad", 4)),),
        )
        assert store.load(PlvnId("vancouver-local-1")) == AgentRecord(
            PlvnId("vancouver-local-1"),
            EdgeId("edge-2"),
            Fence(1),
            ((InmfId(FIRST_INMF), Order("1a22e89127a-70d1cb", 3)),),
        )
        store.close()


def test_other_records_are_refused(tmp_path: Path) -> None:
    store = AgentStore(tmp_path / "agent.sqlite")
    with pytest.raises(TypeError, match="the agent store keeps no Order"):
        store.save([RECORD, Order()])
    assert store.load(P1) is None
    store.close()
