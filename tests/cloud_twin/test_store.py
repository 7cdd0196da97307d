"""The cloud twin's memory survives a restart and refuses what was changed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.cloud_twin.training_setup import INMF, SIZE
from tests.cloud_twin.world import E1, KEY, P1, SITE, cloud
from twintier.cloud_twin.library import MetaModel
from twintier.cloud_twin.meta_training import MetaParameters
from twintier.cloud_twin.planner import TrainingRecord
from twintier.cloud_twin.registry import PlvnRecord
from twintier.cloud_twin.store import CloudStore
from twintier.protocol.ids import SUPER_CATEGORY, ModelId
from twintier.protocol.values import Fence
from twintier.runtime.storage.weights import WeightsError


def weights(value: float) -> MetaParameters:
    return MetaParameters(np.full(SIZE, value, np.float32), np.full(SIZE, -value, np.float32))


def meta_model(version: int = 1, value: float = 1.0) -> MetaModel:
    return MetaModel(
        inmf=INMF,
        category=SUPER_CATEGORY,
        version=version,
        model=ModelId("0" * 64),
        schema_id="test/v1",
        ancestor=SUPER_CATEGORY,
        iterations=4,
        adaptation_reward_first=0.5,
        adaptation_reward_last=0.75,
        weights=weights(value),
    )


def checkpoint(iteration: int = 2) -> TrainingRecord:
    memory = np.arange(SIZE, dtype=np.float32) + iteration
    optimizer = {"parameters.mean": memory, "parameters.steps": np.array([2.0])}
    return TrainingRecord(INMF, KEY, iteration, (0.5, 0.625), weights(2.0), optimizer)


def stored(folder: Path, *records: object) -> list[object]:
    """What a new process finds after another has saved."""
    first = CloudStore(folder)
    for record in records:
        first.save([record])
    first.close()
    second = CloudStore(folder)
    try:
        return list(second.load())
    finally:
        second.close()


def test_a_plvn_survives(tmp_path: Path) -> None:
    moved = PlvnRecord(P1, SITE, (INMF,), E1, Fence(7), KEY)
    assert stored(tmp_path, PlvnRecord(P1, SITE, (INMF,), E1, Fence(6)), moved) == [moved]


def test_the_newest_meta_model_survives(tmp_path: Path) -> None:
    found = stored(tmp_path, meta_model(1), meta_model(2, 3.0))
    assert len(found) == 1
    assert isinstance(found[0], MetaModel)
    assert (found[0].version, found[0].adaptation_reward_last) == (2, 0.75)
    assert found[0].weights.init.tobytes() == weights(3.0).init.tobytes()
    assert found[0].weights.log_step_sizes.tobytes() == weights(3.0).log_step_sizes.tobytes()


def test_a_checkpoint_survives_until_its_model_is_there(tmp_path: Path) -> None:
    found = stored(tmp_path, checkpoint(2), checkpoint(4))
    assert len(found) == 1
    assert isinstance(found[0], TrainingRecord)
    assert (found[0].iteration, found[0].rewards) == (4, (0.5, 0.625))
    assert found[0].optimizer["parameters.mean"].tolist() == [4.0, 5.0, 6.0, 7.0]
    assert float(found[0].optimizer["parameters.steps"][0]) == 2.0
    assert len(list((tmp_path / "weights").iterdir())) == 1
    finished = stored(tmp_path, replace(meta_model(), category=KEY))
    assert [type(record) for record in finished] == [MetaModel]
    assert len(list((tmp_path / "weights").iterdir())) == 1


def test_a_changed_weights_file_is_refused(tmp_path: Path) -> None:
    stored(tmp_path, meta_model())
    (file,) = (tmp_path / "weights").iterdir()
    blob = bytearray(file.read_bytes())
    blob[-1] ^= 1
    file.write_bytes(bytes(blob))
    with pytest.raises(WeightsError, match="was changed"):
        stored(tmp_path)


def test_a_missing_weights_file_is_told(tmp_path: Path) -> None:
    stored(tmp_path, meta_model())
    next((tmp_path / "weights").iterdir()).unlink()
    with pytest.raises(WeightsError, match="no model file"):
        stored(tmp_path)


def test_what_is_no_record_is_refused_and_nothing_of_the_same_save_is_kept(tmp_path: Path) -> None:
    store = CloudStore(tmp_path)
    record = PlvnRecord(P1, SITE, (INMF,), E1, Fence(1))
    with pytest.raises(TypeError, match="keeps no str"):
        store.save([record, "nonsense"])
    assert store.load() == []
    store.close()


def test_a_core_goes_on_from_what_was_stored(tmp_path: Path) -> None:
    store = CloudStore(tmp_path)
    store.save([PlvnRecord(P1, SITE, (INMF,), E1, Fence(3), KEY), meta_model(), checkpoint()])
    core = cloud(store.load())
    store.close()
    assert core.registry.plvns[P1].fence == 3
    assert core.lattice.keys == {P1: KEY}
    assert core.library.get(INMF, SUPER_CATEGORY) is not None
    assert set(core.planner.checkpoints) == {(INMF, KEY)}
