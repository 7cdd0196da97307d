"""An edge server's memory: its twins and the individual models in force."""

import json
from collections.abc import Sequence
from pathlib import Path

import msgpack
import numpy as np
import structlog
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Index,
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

from twintier.edge_twin.hosting import EdgeRecord
from twintier.edge_twin.individual_model import IndividualModel, IndividualModelDeleted
from twintier.edge_twin.mirror import KeptTrajectories
from twintier.edge_twin.twin import TwinRecord
from twintier.inmf.contract import Emulator
from twintier.inmf.registry import UnknownInmfError, inmf_of
from twintier.protocol.catalogue import row_of
from twintier.protocol.ids import InmfId, ModelId, PlvnId
from twintier.protocol.messages import Grant, IndividualModelReported, Site, TrajectoriesReported
from twintier.protocol.upcast import FIRST_INMF, upcast
from twintier.runtime.effects import Record
from twintier.runtime.storage.sql import SqlStore, open_database
from twintier.runtime.storage.weights import WeightsError, WeightStore

log = structlog.get_logger()

SCHEMA_VERSION = 2
_TYPE = row_of(TrajectoriesReported).name
_FIRST_TYPE = "trajectories-reported.v1"
"""Of trajectories that do not say theirs: they were kept before there was another."""
_metadata = MetaData()
_twins = Table(
    "twins",
    _metadata,
    Column("plvn", String, primary_key=True),
    Column("grant_", String, nullable=False),
    Column("site", String, nullable=False),
    Column("requested_inmfs", String, nullable=False),
)
_models = Table(
    "individual_models",
    _metadata,
    Column("plvn", String, primary_key=True),
    Column("inmf", String, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("model", String, nullable=False),
    Column("weights", String, nullable=False),
    Column("emulator", String, nullable=False),
    Column("report", String, nullable=False),
)
_trajectories = Table(
    "trajectories",
    _metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("plvn", String, nullable=False),
    Column("inmf", String, nullable=False, server_default=FIRST_INMF),
    Column("slots", Integer, nullable=False),
    Column("message", LargeBinary, nullable=False),
    Index("ix_trajectories_of", "plvn", "inmf", "number"),
)


class EdgeStore(SqlStore):
    """Twins and individual models under one folder."""

    def __init__(self, folder: Path, *, trajectory_slots: int = 3000) -> None:
        """Open the folder's database.

        Args:
            folder: made if it is not there.
            trajectory_slots: of each PLVN and INMF that are kept at least; older ones go.
        """
        self._trajectory_slots = trajectory_slots
        super().__init__(
            open_database(
                folder / "edge.sqlite",
                _metadata,
                version=SCHEMA_VERSION,
                migrations={1: _of_any_inmf},
            )
        )
        self._weights = WeightStore(folder / "weights")

    def _keep(self, connection: Connection, record: Record) -> None:
        match record:
            case TwinRecord():
                self._save_twin(connection, record)
            case IndividualModel():
                self._save_model(connection, record)
            case IndividualModelDeleted():
                self._delete_model(connection, record)
            case KeptTrajectories():
                self._save_trajectories(connection, record)
            case _:
                raise TypeError(f"the edge store keeps no {type(record).__name__}")

    def load(self) -> list[EdgeRecord]:
        """Twins, their trajectories, and the individual models that act or wait to act again."""
        order = select(_trajectories).order_by(_trajectories.c.number)
        with self._engine.begin() as connection:
            twins = [_twin_of(row) for row in connection.execute(select(_twins)).mappings()]
            kept = [_trajectories_of(row) for row in connection.execute(order).mappings()]
        return [*twins, *kept, *_acting(self.models())]

    def models(self) -> list[IndividualModel]:
        """Every individual model that is kept, oldest version first."""
        with self._engine.begin() as connection:
            order = select(_models).order_by(_models.c.version)
            rows = connection.execute(order).mappings().all()
        return [model for row in rows if (model := self._model_of(row)) is not None]

    @staticmethod
    def _save_twin(connection: Connection, record: TwinRecord) -> None:
        values = {
            "plvn": record.grant.plvn,
            "grant_": record.grant.model_dump_json(),
            "site": record.site.model_dump_json(),
            "requested_inmfs": json.dumps(record.requested_inmfs),
        }
        statement = insert(_twins).values(values)
        connection.execute(statement.on_conflict_do_update(index_elements=["plvn"], set_=values))

    def _save_model(self, connection: Connection, model: IndividualModel) -> None:
        values = {
            "plvn": model.plvn,
            "inmf": model.inmf,
            "version": model.version,
            "model": model.model,
            "weights": self._keep_weights(
                self._weights, {"parameters": model.parameters, "start": model.start}
            ),
            "emulator": json.dumps(model.emulator and model.emulator.to_dict()),
            "report": model.report.model_dump_json(),
        }
        statement = insert(_models).values(values)
        keys = ["plvn", "inmf", "version"]
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))

    def _save_trajectories(self, connection: Connection, record: KeptTrajectories) -> None:
        table = _trajectories
        values = {
            "plvn": record.plvn,
            "inmf": record.inmf,
            "slots": record.message.slots.shapes[0].shape[0],
            "message": msgpack.packb({"type": _TYPE, **record.message.model_dump()}),
        }
        connection.execute(insert(table).values(values))
        self._forget_trajectories(connection, record)

    def _forget_trajectories(self, connection: Connection, record: KeptTrajectories) -> None:
        """Let those go that more than enough newer slots follow; the cost is that of what stays."""
        table = _trajectories
        ours = (table.c.plvn == record.plvn) & (table.c.inmf == record.inmf)
        newest_first = select(table.c.number, table.c.slots).where(ours)
        slots = 0
        for number, more in connection.execute(newest_first.order_by(table.c.number.desc())):
            if slots >= self._trajectory_slots:
                connection.execute(delete(table).where(ours & (table.c.number <= number)))
                return
            slots += more

    def _delete_model(self, connection: Connection, record: IndividualModelDeleted) -> None:
        key: ColumnElement[bool] = (
            (_models.c.plvn == record.plvn)
            & (_models.c.inmf == record.inmf)
            & (_models.c.version == record.version)
        )
        weights = connection.execute(select(_models.c.weights).where(key)).scalar_one_or_none()
        connection.execute(delete(_models).where(key))
        used = select(_models.c.version).where(_models.c.weights == weights)
        if weights is not None and connection.execute(used).first() is None:
            self._forget_weights(self._weights, weights)

    def _model_of(self, row: RowMapping) -> IndividualModel | None:
        """None if its INMF is not installed, its emulator is another, or its weights are lost."""
        try:
            emulator = _emulator_of(str(row["inmf"]), json.loads(str(row["emulator"])))
        except (UnknownInmfError, ValueError):
            return None
        try:
            arrays = self._weights.get(str(row["weights"]))
        except WeightsError as error:
            log.warning("model left out", plvn=row["plvn"], inmf=row["inmf"], reason=str(error))
            return None
        return IndividualModel(
            plvn=PlvnId(str(row["plvn"])),
            inmf=InmfId(str(row["inmf"])),
            version=int(str(row["version"])),
            model=ModelId(str(row["model"])),
            parameters=np.asarray(arrays["parameters"], np.float32),
            start=np.asarray(arrays["start"], np.float32),
            emulator=emulator,
            report=IndividualModelReported.model_validate_json(str(row["report"])),
        )


def _acting(models: Sequence[IndividualModel]) -> list[IndividualModel]:
    """The newest of each PLVN and INMF, after the one before where that is on probation."""
    acting: dict[tuple[PlvnId, InmfId], list[IndividualModel]] = {}
    for model in models:
        before = acting.get((model.plvn, model.inmf), [])
        good = before[-1:] if model.report.state == "probation" else []
        acting[model.plvn, model.inmf] = [*good, model]
    return [model for each in acting.values() for model in each]


def _twin_of(row: RowMapping) -> TwinRecord:
    return TwinRecord(
        Grant.model_validate_json(str(row["grant_"])),
        Site.model_validate_json(str(row["site"])),
        tuple(json.loads(str(row["requested_inmfs"]))),
    )


def _trajectories_of(row: RowMapping) -> KeptTrajectories:
    message = row["message"]
    assert isinstance(message, bytes)
    fields = msgpack.unpackb(message, use_list=False)
    body = upcast(fields.pop("type", _FIRST_TYPE), fields)
    reported = TrajectoriesReported.model_validate(body, strict=True)
    return KeptTrajectories(PlvnId(str(row["plvn"])), InmfId(str(row["inmf"])), reported)


def _emulator_of(inmf: str, values: object) -> Emulator | None:
    return inmf_of(inmf).emulator_of(values) if isinstance(values, dict) else None


def _of_any_inmf(connection: Connection) -> None:
    """Version 2 keeps trajectories by INMF, and reports that say what rewards rest on."""
    connection.exec_driver_sql(
        f"ALTER TABLE trajectories ADD COLUMN inmf VARCHAR NOT NULL DEFAULT '{FIRST_INMF}'"
    )
    connection.exec_driver_sql("DROP INDEX IF EXISTS ix_trajectories_plvn")
    connection.exec_driver_sql(
        "CREATE INDEX ix_trajectories_of ON trajectories (plvn, inmf, number)"
    )
    rows = connection.exec_driver_sql("SELECT rowid, report FROM individual_models").all()
    for rowid, report in rows:
        body = upcast("individual-model-reported.v1", json.loads(report))
        values = (json.dumps(body), rowid)
        connection.exec_driver_sql(
            "UPDATE individual_models SET report = ? WHERE rowid = ?", values
        )
