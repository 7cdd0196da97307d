"""A sample of every message, with an envelope that is the same every time."""

from pathlib import Path

import numpy as np

from twintier.protocol.address import Address
from twintier.protocol.catalogue import BY_NAME, Row
from twintier.protocol.envelope import Envelope
from twintier.protocol.ids import CategoryKey, EdgeId, InmfId, PlvnId
from twintier.protocol.messages.base import Message
from twintier.protocol.tensors import Tensors, model_id
from twintier.protocol.topics import category_digest, stream_for
from twintier.protocol.values import Fence

GOLDEN = Path(__file__).parents[1] / "wire"
P1, E1 = PlvnId("p1"), EdgeId("e1")
EVERYWHERE = Address(
    plvn=P1,
    edge=E1,
    inmf=InmfId("coop-perception"),
    category_digest=category_digest(CategoryKey("city=toronto")),
)


def sender(row: Row) -> str:
    """A source that may publish the row at `EVERYWHERE`."""
    return {"plvn": "plvn:p1", "edge": "edge:e1", "cloud": "cloud:cloud"}[row.publishers[0]]


def address(row: Row) -> Address:
    """Where the sample of a row goes."""
    role, _, name = sender(row).partition(":")
    at = EVERYWHERE
    return Address(at.plvn, at.edge, at.inmf, at.category_digest, role, name, "0" * 64, row.branch)


def envelope(row: Row) -> Envelope:
    """The sample's envelope."""
    return Envelope(
        type=row.name,
        id=bytes(range(16)),
        src=sender(row),
        boot="b00t",
        stream=stream_for(row.message, address(row)),
        seq=7,
        ts_ns=1_700_000_000_000_000_000,
        fence=Fence(3),
        sim_ts_ns=12_500_000_000,
        clock_id="sumo-1",
        ttl_ms=None if row.ttl_s is None else int(row.ttl_s * 1000),
        cid=bytes(range(16, 32)),
    )


def sample(message: type[Message]) -> Message:
    """The sample of a class."""
    return message.model_validate(_FIELDS[message.__name__])


def rows() -> list[Row]:
    """A row of every message of the catalogue."""
    return list(BY_NAME.values())


_VECTOR = np.asarray([0.5, -1.25, 3.0], np.float32)
_MODEL = model_id("schema-1", _VECTOR)
_PARAMETERS = Tensors.pack({"parameters": _VECTOR})
_META = Tensors.pack({"init": _VECTOR, "log_step_sizes": -_VECTOR})
_SITE = {"city": "Berlin", "road": "Highway", "lat_deg": 52.5, "lon_deg": 13.25}
_GRANT = {
    "plvn": "p1",
    "edge": "e1",
    "fence": 3,
    "valid_s": 120.0,
    "edge_key": "0a" * 32,
    "signature": "0b" * 64,
}
_FIRST = "gaussian-mlp/19-64-64-3/v1"
_KEY = "city=berlin|road=highway|tod=day"
_CAUSE = {
    "trigger": "degradation",
    "statistic": "page_hinkley",
    "value": 12.5,
    "threshold": 10.0,
    "reference_n": 40,
    "sim_time_s": 3600.5,
}
_SLOTS = Tensors.pack(
    {
        "bandwidth_hz": np.asarray([2e7, 1e7], np.float32),
        "objects": np.asarray([[4, 5, 6], [7, 8, 9]], np.float32),
        "distance_m": np.asarray([[10, 20, 30], [40, 50, 60]], np.float32),
        "present": np.asarray([[1, 1, 0], [1, 1, 1]], np.float32),
    }
)
_TRAJECTORY = Tensors.pack(
    {
        **{k: np.asarray(v, np.float32) for k, v in _SLOTS.unpack().items()},
        "modes_before": np.asarray([[0, 0, 0], [1, 0, 0]], np.float32),
        "action": np.asarray([[1, 0, 0], [1, 1, 0]], np.float32),
        "reward": np.asarray([1.5, -0.25], np.float32),
    }
)
_FIELDS: dict[str, dict[str, object]] = {
    "AgentStatusReported": {"state": "online", "lease_s": 15.0},
    "EdgeStatusReported": {
        "state": "online",
        "lease_s": 15.0,
        "lat_deg": 52.5,
        "lon_deg": 13.25,
        "capacity": 64,
        "twins": 2,
        "verify_key": "0a" * 32,
    },
    "CloudStatusReported": {
        "state": "offline",
        "lease_s": 0.0,
        "phase": "planning",
        "iterations": 20,
        "iterations_planned": 300,
    },
    "RegistrationRequested": {"site": _SITE, "requested_inmfs": ("coop-perception",)},
    "RegistrationGranted": {"grant": _GRANT, "unknown_inmfs": ("steering",)},
    "RegistrationRefused": {"code": "no_capacity", "reason": "2 servers, all full", "retry_s": 2.0},
    "GrantRenewed": {"grant": _GRANT},
    "TwinPlaced": {"grant": _GRANT, "site": _SITE, "requested_inmfs": ("coop-perception",)},
    "TwinRegistered": {"grant": _GRANT},
    "TelemetryReported": {
        "slot_first": 150,
        "hour": 8.25,
        "vehicle_number": 12,
        "mean_speed_share": 0.75,
        "vehicles": ({"vehicle": "9f3c", "lat_deg": 52.5, "lon_deg": None, "speed_mps": 13.5},),
        "measured": ({"inmf": "coop-perception", "schema_id": _FIRST, "slots": _SLOTS},),
    },
    "TrajectoriesReported": {
        "policy": "individual_model",
        "model_version": 2,
        "batch": 4,
        "slot_first": 150,
        "schema_id": _FIRST,
        "slots": _TRAJECTORY,
    },
    "PerformanceReported": {
        "policy": "baseline",
        "model_version": 0,
        "slot_first": 150,
        "slots": 75,
        "reward_sum": 101.5,
        "outcomes": ({"name": "infeasible", "total": 1.0}, {"name": "mode_changes", "total": 6.0}),
    },
    "AttributesReported": {
        "sim_time_s": 600.0,
        "n_samples": 10,
        "hour": 8.25,
        "city": "berlin",
        "road": "highway",
        "lat_deg": 52.5,
        "lon_deg": 13.25,
        "vehicle_number": 12.5,
        "inmfs": (
            {
                "inmf": "coop-perception",
                "workload": 8.0,
                "workload_unit": "objects",
                "resources": 1.5e7,
                "resources_unit": "Hz",
            },
        ),
        "category": _KEY,
    },
    "CategoryAssigned": {
        "category": _KEY,
        "known": True,
        "category_version": 2,
        "matches": (
            {
                "inmf": "coop-perception",
                "category": "city=berlin",
                "version": 1,
                "model": _MODEL,
                "candidates": ("city=berlin", ""),
                "reason": "least general of 2",
            },
        ),
    },
    "MetaRoundStarted": {
        "job": "super-1",
        "category": "",
        "iteration": 20,
        "deadline_s": 20.0,
        "plvns": ("p1", "p2"),
        "schema_id": "schema-1",
        "model": _META,
        "settings": {"algorithm": "maml", "inner_steps": 3, "episodes": 10, "seed": 1},
    },
    "GradientsComputed": {
        "job": "super-1",
        "iteration": 20,
        "rows": (
            {
                "plvn": "p1",
                "adaptation_loss": -0.5,
                "adaptation_reward_before": 1.25,
                "adaptation_reward": 1.5,
                "slots": 1500,
            },
        ),
        "gradients": Tensors.pack(
            {"gradient": _VECTOR[None], "step_size_gradient": 2 * _VECTOR[None]}
        ),
    },
    "GradientsFailed": {
        "job": "super-1",
        "iteration": 20,
        "plvns": ("p2",),
        "reason": "no calibrated emulator yet",
    },
    "MetaProgressReported": {"job": "super-1", "iteration": 20, "plvns": 2, "stage": "emulated"},
    "LibraryIndexed": {
        "inmf": "coop-perception",
        "category": "city=toronto",
        "version": 1,
        "model": _MODEL,
        "iterations": 80,
        "adaptation_reward_first": 1.0,
        "adaptation_reward_last": 1.5,
    },
    "MetaModelRequested": {"inmf": "coop-perception", "category": "city=berlin", "version": 1},
    "MetaModelOffered": {
        "inmf": "coop-perception",
        "category": "city=berlin",
        "version": 1,
        "model": _MODEL,
        "schema_id": "schema-1",
        "parameters": _META,
    },
    "MetaModelMissing": {
        "inmf": "coop-perception",
        "category": "city=berlin",
        "code": "not_trained",
        "reason": "4 PLVNs needed, 2 there",
    },
    "ModelDispatched": {
        "inmf": "coop-perception",
        "version": 2,
        "purpose": "exchange",
        "model": _MODEL,
        "schema_id": "schema-1",
        "parameters": _PARAMETERS,
        "trajectory_slots": 75,
        "sampled": True,
        "program": b"graph",
    },
    "BaselineOrdered": {"inmf": "coop-perception", "version": 3, "reason": "guard"},
    "ModelApplied": {
        "inmf": "coop-perception",
        "version": 2,
        "model": _MODEL,
        "slot_first": 225,
    },
    "ModelRefused": {
        "inmf": "coop-perception",
        "version": 2,
        "code": "wrong_digest",
        "reason": "parameters have another digest",
    },
    "ModelRequested": {"inmf": "coop-perception"},
    "RetrainTriggered": {"inmf": "coop-perception", "cause": _CAUSE, "from_model": _MODEL},
    "IndividualModelReported": {
        "inmf": "coop-perception",
        "version": 2,
        "model": _MODEL,
        "state": "in_force",
        "origin": "meta_model",
        "origin_category": "city=berlin",
        "origin_version": 1,
        "adaptation_steps": 60,
        "exchanges": 2,
        "evidence": "emulated",
        "reward_before": 1.0,
        "reward_after": 1.5,
        "baseline_reward": 1.25,
        "bound_reward": 1.75,
        "true_slots": 150,
        "synthetic_slots": 3000,
        "sim_time_s": 3700.0,
        "replaced": "",
        "cause": (_CAUSE,),
    },
    "HealthReported": {
        "role": "plvn",
        "uptime_s": 60.5,
        "published": 100,
        "delivered": 50,
        "redelivered": 1,
        "refused": 2,
        "dropped": 0,
        "inbox": 3,
        "sim_time_s": 3000.0,
        "speed": 50.0,
        "counters": ({"name": "refused.malformed", "count": 2},),
        "peers": ({"src": "edge:e1", "offset_s": -0.25},),
    },
    "UploadsAcknowledged": {
        "positions": ({"boot": "b00t", "stream": "plvn/p1/up/perf/m", "seq": 12, "again": False},),
    },
    "MessageReturned": {
        "type": "performance-reported.v9",
        "boot": "b00t",
        "stream": "plvn/p1/up/perf/m",
        "seq": 13,
        "code": "unknown_version",
        "reason": "performance-reported.v9 is not a version known here",
    },
    "ChunksRequested": {"digest": "0" * 64, "first": 2, "count": 14},
    "ChunkSent": {"index": 2, "state": "here", "data": b"\x00\x01\xff"},
    "MessageRefused": {
        "role": "plvn",
        "topic": "twintier/v1/plvn/p1/down/grant",
        "code": "malformed",
        "reason": "not one msgpack map",
        "size": 3,
    },
}
