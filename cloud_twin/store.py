"""The cloud twin's memory: rows in SQLite, weights as files beside it."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sqlalchemy import (
    Column,
    Connection,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    RowMapping,
    String,
    Table,
    delete,
    select,
)
from sqlalchemy.dialects.sqlite import insert

from twintier.cloud_twin.core import CloudRecord
from twintier.cloud_twin.library import MetaModel
from twintier.cloud_twin.meta_training import MetaParameters
from twintier.cloud_twin.planner import TrainingRecord
from twintier.cloud_twin.registry import PlvnRecord
from twintier.protocol.ids import CategoryKey, EdgeId, InmfId, ModelId, PlvnId
from twintier.protocol.messages import Site
from twintier.protocol.values import Fence
from twintier.runtime.effects import Record
from twintier.runtime.storage.sql import SqlStore, open_database
from twintier.runtime.storage.weights import WeightStore

SCHEMA_VERSION = 1
_metadata = MetaData()
_plvns = Table(
    "plvns",
    _metadata,
    Column("plvn", String, primary_key=True),
    Column("site", String, nullable=False),
    Column("requested_inmfs", String, nullable=False),
    Column("edge", String, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("category", String),
)
_meta_models = Table(
    "meta_models",
    _metadata,
    Column("inmf", String, primary_key=True),
    Column("category", String, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("model", String, nullable=False),
    Column("schema_id", String, nullable=False),
    Column("ancestor", String, nullable=False),
    Column("iterations", Integer, nullable=False),
    Column("adaptation_reward_first", Float, nullable=False),
    Column("adaptation_reward_last", Float, nullable=False),
    Column("weights", String, nullable=False),
)
_trainings = Table(
    "trainings",
    _metadata,
    Column("inmf", String, primary_key=True),
    Column("category", String, primary_key=True),
    Column("iteration", Integer, nullable=False),
    Column("rewards", LargeBinary, nullable=False),
    Column("weights", String, nullable=False),
)
_OPTIMIZER = "optimizer."


class CloudStore(SqlStore):
    """Registry, library and training checkpoints under one folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(open_database(folder / "cloud.sqlite", _metadata, version=SCHEMA_VERSION))
        self._weights = WeightStore(folder / "weights")

    def _keep(self, connection: Connection, record: Record) -> None:
        match record:
            case PlvnRecord():
                self._save_plvn(connection, record)
            case MetaModel():
                self._save_model(connection, record)
            case TrainingRecord():
                self._save_training(connection, record)
            case _:
                raise TypeError(f"the cloud store keeps no {type(record).__name__}")

    def load(self) -> list[CloudRecord]:
        """Everything that the core needs to go on; of each meta model the newest version."""
        with self._engine.begin() as connection:
            plvns = [_plvn_of(row) for row in connection.execute(select(_plvns)).mappings()]
            trainings = connection.execute(select(_trainings)).mappings().all()
        newest = {(model.inmf, model.category): model for model in self.meta_models()}
        return [*plvns, *newest.values(), *(self._training_of(row) for row in trainings)]

    def meta_models(self) -> list[MetaModel]:
        """Every version of every meta model, oldest first."""
        with self._engine.begin() as connection:
            order = select(_meta_models).order_by(_meta_models.c.version)
            rows = connection.execute(order).mappings().all()
        return [self._model_of(row) for row in rows]

    @staticmethod
    def _save_plvn(connection: Connection, record: PlvnRecord) -> None:
        values = {
            "plvn": record.plvn,
            "site": record.site.model_dump_json(),
            "requested_inmfs": json.dumps(record.requested_inmfs),
            "edge": record.edge,
            "fence": record.fence,
            "category": record.category,
        }
        statement = insert(_plvns).values(values)
        connection.execute(statement.on_conflict_do_update(index_elements=["plvn"], set_=values))

    def _save_model(self, connection: Connection, model: MetaModel) -> None:
        values = {
            "inmf": model.inmf,
            "category": model.category,
            "version": model.version,
            "model": model.model,
            "schema_id": model.schema_id,
            "ancestor": model.ancestor,
            "iterations": model.iterations,
            "adaptation_reward_first": model.adaptation_reward_first,
            "adaptation_reward_last": model.adaptation_reward_last,
            "weights": self._keep_weights(self._weights, model.weights.arrays()),
        }
        connection.execute(insert(_meta_models).values(values).on_conflict_do_nothing())
        finished = (_trainings.c.inmf == model.inmf) & (_trainings.c.category == model.category)
        for old in connection.execute(select(_trainings.c.weights).where(finished)).scalars().all():
            self._forget_weights(self._weights, old)
        connection.execute(delete(_trainings).where(finished))

    def _save_training(self, connection: Connection, record: TrainingRecord) -> None:
        key = (_trainings.c.inmf == record.inmf) & (_trainings.c.category == record.category)
        old = connection.execute(select(_trainings.c.weights).where(key)).scalar_one_or_none()
        optimizer = {f"{_OPTIMIZER}{name}": array for name, array in record.optimizer.items()}
        digest = self._keep_weights(self._weights, {**record.model.arrays(), **optimizer})
        values = {
            "inmf": record.inmf,
            "category": record.category,
            "iteration": record.iteration,
            "rewards": np.asarray(record.rewards, "<f8").tobytes(),
            "weights": digest,
        }
        statement = insert(_trainings).values(values)
        connection.execute(
            statement.on_conflict_do_update(index_elements=["inmf", "category"], set_=values)
        )
        if old is not None and old != digest:
            self._forget_weights(self._weights, old)

    def _model_of(self, row: RowMapping) -> MetaModel:
        return MetaModel(
            inmf=InmfId(str(row["inmf"])),
            category=CategoryKey(str(row["category"])),
            version=int(str(row["version"])),
            model=ModelId(str(row["model"])),
            schema_id=str(row["schema_id"]),
            ancestor=CategoryKey(str(row["ancestor"])),
            iterations=int(str(row["iterations"])),
            adaptation_reward_first=float(str(row["adaptation_reward_first"])),
            adaptation_reward_last=float(str(row["adaptation_reward_last"])),
            weights=_parameters_of(self._weights.get(str(row["weights"]))),
        )

    def _training_of(self, row: RowMapping) -> TrainingRecord:
        arrays = self._weights.get(str(row["weights"]))
        rewards = row["rewards"]
        assert isinstance(rewards, bytes)
        optimizer: dict[str, npt.NDArray[np.floating]] = {
            name.removeprefix(_OPTIMIZER): np.asarray(
                array, np.float64 if array.size == 1 else None
            )
            for name, array in arrays.items()
            if name.startswith(_OPTIMIZER)
        }
        return TrainingRecord(
            InmfId(str(row["inmf"])),
            CategoryKey(str(row["category"])),
            int(str(row["iteration"])),
            tuple(np.frombuffer(rewards, "<f8").tolist()),
            _parameters_of(arrays),
            optimizer,
        )


def _plvn_of(row: RowMapping) -> PlvnRecord:
    category = row["category"]
    return PlvnRecord(
        plvn=PlvnId(str(row["plvn"])),
        site=Site.model_validate_json(str(row["site"])),
        requested_inmfs=tuple(json.loads(str(row["requested_inmfs"]))),
        edge=EdgeId(str(row["edge"])),
        fence=Fence(int(str(row["fence"]))),
        category=None if category is None else CategoryKey(str(category)),
    )


def _parameters_of(arrays: Mapping[str, npt.NDArray[np.generic]]) -> MetaParameters:
    """Files of the first release say `parameters` where later ones say `init`."""
    prior = arrays.get("prior")
    return MetaParameters(
        np.asarray(arrays["init" if "init" in arrays else "parameters"], np.float32),
        np.asarray(arrays["log_step_sizes"], np.float32),
        None if prior is None else np.asarray(prior, np.float32),
    )
