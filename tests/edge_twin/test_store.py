"""An edge server's memory survives a restart and forgets what is deleted."""

import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import msgpack
import numpy as np
import pytest

from tests.edge_twin.managing import in_force, trajectories
from tests.support.names import COOP_PERCEPTION
from tests.support.wire import GOLDEN, sample
from twintier.edge_twin.core import EdgeCore
from twintier.edge_twin.individual_model import IndividualModel, IndividualModelDeleted
from twintier.edge_twin.mirror import KeptTrajectories
from twintier.edge_twin.settings import EdgeSettings
from twintier.edge_twin.store import EdgeStore
from twintier.edge_twin.twin import TwinRecord
from twintier.protocol.ids import EdgeId, InmfId, PlvnId
from twintier.protocol.messages import Grant, Site, TrajectoriesReported
from twintier.protocol.values import Fence
from twintier.runtime.storage.store import StoreError

P1 = PlvnId("p1")
KEPT = Path(__file__).parents[1] / "kept" / "0.1"
"""State folders and recordings as the first release wrote them."""
SITE = Site(city="Berlin", road="Highway", lat_deg=52.5, lon_deg=13.4)


def twin(fence: int) -> TwinRecord:
    given = Grant(plvn=P1, edge=EdgeId("e1"), fence=Fence(fence), valid_s=60.0)
    return TwinRecord(given, SITE, (COOP_PERCEPTION,))


def model(version: int = 3) -> IndividualModel:
    made = in_force().managed.model
    assert made is not None
    report = made.report.model_copy(update={"version": version})
    return replace(made, version=version, report=report)


def stored(folder: Path, *records: object) -> list[object]:
    first = EdgeStore(folder)
    for record in records:
        first.save([record])
    first.close()
    second = EdgeStore(folder)
    try:
        return list(second.load())
    finally:
        second.close()


def test_twins_and_the_newest_model_survive(tmp_path: Path) -> None:
    found = stored(tmp_path, twin(1), twin(2), model(3), model(5))
    assert found[0] == twin(2)
    kept, sent = found[1], model(5)
    assert isinstance(kept, IndividualModel)
    assert (kept.version, kept.report, kept.emulator) == (5, sent.report, sent.emulator)
    assert np.array_equal(kept.parameters, sent.parameters)
    assert np.array_equal(kept.start, sent.start)
    assert len(found) == 2


def test_trajectories_that_an_older_release_kept_are_read(tmp_path: Path) -> None:
    old = msgpack.unpackb((GOLDEN / "trajectories-reported.v1.msgpack").read_bytes())
    EdgeStore(tmp_path).close()
    with sqlite3.connect(tmp_path / "edge.sqlite") as database:  # bodies did not say their type
        row = (P1, 3, msgpack.packb(old["body"]))
        database.execute("INSERT INTO trajectories (plvn, slots, message) VALUES (?, ?, ?)", row)
    reported = sample(TrajectoriesReported)
    assert isinstance(reported, TrajectoriesReported)
    assert stored(tmp_path) == [KeptTrajectories(P1, COOP_PERCEPTION, reported)]


def test_a_deleted_model_goes_with_its_file(tmp_path: Path) -> None:
    gone = IndividualModelDeleted(P1, COOP_PERCEPTION, 3)
    assert stored(tmp_path, model(3), gone, gone) == []
    assert list((tmp_path / "weights").iterdir()) == []


def test_a_file_that_another_version_uses_stays(tmp_path: Path) -> None:
    found = stored(tmp_path, model(3), model(4), IndividualModelDeleted(P1, COOP_PERCEPTION, 4))
    assert [record.version for record in found if isinstance(record, IndividualModel)] == [3]


def test_a_saved_model_keeps_its_newest_state(tmp_path: Path) -> None:
    changed = replace(model(), report=model().report.model_copy(update={"state": "probation"}))
    (kept,) = stored(tmp_path, changed, model())
    assert isinstance(kept, IndividualModel)
    assert kept.report.state == "in_force"


def test_a_changed_weight_file_costs_its_model_and_nothing_else(tmp_path: Path) -> None:
    stored(tmp_path, twin(1), model())
    (file,) = (tmp_path / "weights").iterdir()
    file.write_bytes(file.read_bytes()[:-1] + b"\1")
    assert stored(tmp_path) == [twin(1)]


def test_a_missing_weight_file_costs_its_model_and_nothing_else(tmp_path: Path) -> None:
    stored(tmp_path, twin(1), model(3))
    shutil.rmtree(tmp_path / "weights")
    assert stored(tmp_path) == [twin(1)]


def test_a_deletion_that_is_not_saved_leaves_the_weight_file(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path)
    store.save([twin(1)])
    store.save([model(3)])
    gone = IndividualModelDeleted(P1, COOP_PERCEPTION, 3)
    with pytest.raises(TypeError, match="keeps no object"):
        store.save([gone, object()])
    store.save([twin(1)])
    store.close()
    assert [type(record) for record in stored(tmp_path)] == [TwinRecord, IndividualModel]


def test_weights_deleted_and_kept_again_in_one_transaction_stay(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path)
    store.save([model(3)])
    store.save([IndividualModelDeleted(P1, COOP_PERCEPTION, 3), model(5)])
    store.close()
    (kept,) = stored(tmp_path)
    assert isinstance(kept, IndividualModel)
    assert kept.version == 5


def test_a_new_store_beside_model_files_of_another_stops(tmp_path: Path) -> None:
    stored(tmp_path, model(3))
    for file in tmp_path.glob("edge.sqlite*"):
        file.unlink()
    with pytest.raises(StoreError, match="1 model files of another one"):
        EdgeStore(tmp_path)
    assert len(list((tmp_path / "weights").iterdir())) == 1


def test_what_is_no_record_is_refused(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path)
    with pytest.raises(TypeError, match="keeps no int"):
        store.save([twin(1), 7])
    assert store.load() == []
    store.close()


def test_the_newest_trajectories_survive(tmp_path: Path) -> None:
    kept = [
        KeptTrajectories(P1, COOP_PERCEPTION, trajectories(15 * number, 0)) for number in range(5)
    ]
    other = KeptTrajectories(PlvnId("p2"), COOP_PERCEPTION, trajectories(0, 0))
    first = EdgeStore(tmp_path, trajectory_slots=30)
    for record in (*kept, other):
        first.save([record])
    first.close()
    assert EdgeStore(tmp_path).load() == [*kept[-2:], other]


def test_trajectories_of_each_inmf_are_kept_apart(tmp_path: Path) -> None:
    steering = KeptTrajectories(P1, InmfId("steering"), trajectories(0, 0))
    ours = [KeptTrajectories(P1, COOP_PERCEPTION, trajectories(15 * n, 0)) for n in range(5)]
    first = EdgeStore(tmp_path, trajectory_slots=30)
    for record in (steering, *ours):
        first.save([record])
    first.close()
    assert EdgeStore(tmp_path).load() == [steering, *ours[-2:]]


def test_a_database_of_the_first_release_opens(tmp_path: Path) -> None:
    shutil.copytree(KEPT / "edge-1", tmp_path / "edge-1")
    records = EdgeStore(tmp_path / "edge-1").load()
    twins = [r for r in records if isinstance(r, TwinRecord)]
    models = [r for r in records if isinstance(r, IndividualModel)]
    uploads = [r for r in records if isinstance(r, KeptTrajectories)]
    assert {twin.grant.plvn for twin in twins} == {model.plvn for model in models}
    assert {model.report.evidence for model in models} == {"emulated"}
    core = EdgeCore(EdgeId("edge-1"), EdgeSettings(), records)
    managed = core.hosting.twins[models[0].plvn].managed[COOP_PERCEPTION]
    assert managed.model == models[0]
    assert managed.mirror.trajectories.size > 0
    assert uploads
