"""Bodies of older versions, brought up to the one that this release speaks, a version at a time.

A release reads every version that has a chain here; `tests/wire` keeps the bytes of each.
"""

import re
from collections.abc import Callable, Mapping
from zlib import crc32

from twintier.protocol.tensors import blob_digest

Body = dict[object, object]
Upcaster = Callable[[Body], Body]
_TYPE = re.compile(r"([a-z][a-z-]{0,63})\.v([1-9][0-9]{0,3})")


def _unsigned_grant(body: Body) -> Body:
    """Version 2 added the edge server's key and the cloud twin's signature."""
    grant = body.get("grant")
    if not isinstance(grant, dict):
        return body
    return {**body, "grant": {**grant, "edge_key": "", "signature": ""}}


def _without_key(body: Body) -> Body:
    """Version 2 added the edge server's key."""
    return {**body, "verify_key": ""}


def _without_peers(body: Body) -> Body:
    """Version 2 added the clocks of peers."""
    return {**body, "peers": ()}


def _summed(field: str) -> Upcaster:
    """Version 2 has the CRC-32 of arrays where version 1 had their blake2b-256."""

    def upcaster(body: Body) -> Body:
        arrays = body.get(field)
        if not isinstance(arrays, dict) or not isinstance(arrays.get("blob"), bytes):
            return body
        blob = arrays["blob"]
        if blob_digest(blob) != arrays.get("digest"):
            raise ValueError(f"{field}: blob does not have its digest; send it again")
        others = {key: value for key, value in arrays.items() if key != "digest"}
        return {**body, field: {**others, "crc32": crc32(blob)}}

    return upcaster


FIRST_INMF = "coop-perception"
FIRST_SCHEMA = "gaussian-mlp/19-64-64-3/v1"
"""The only INMF of the first release, and what it called its policy."""


def _renamed(field: str, names: Mapping[str, str]) -> Upcaster:
    """Arrays that have another name in the next version."""

    def upcaster(body: Body) -> Body:
        arrays = body.get(field)
        if not isinstance(arrays, dict) or not isinstance(arrays.get("shapes"), list | tuple):
            return body
        shapes = tuple(
            {**shape, "name": names.get(str(shape.get("name")), str(shape.get("name")))}
            if isinstance(shape, dict)
            else shape
            for shape in arrays["shapes"]
        )
        return {**body, field: {**arrays, "shapes": shapes}}

    return upcaster


def _telemetry_of_one(body: Body) -> Body:
    """Version 3 has slots by INMF."""
    slots = {"inmf": FIRST_INMF, "schema_id": FIRST_SCHEMA, "slots": body.get("slots")}
    others = {key: value for key, value in body.items() if key != "slots"}
    return {**others, "measured": (slots,)}


def _trajectories_of_any(body: Body) -> Body:
    """Version 3 names what is alike for all INMFs, and the schema of the rest."""
    renamed = _renamed("slots", {"modes": "action", "reward_j": "reward"})(body)
    return {**renamed, "schema_id": FIRST_SCHEMA}


def _performance_of_any(body: Body) -> Body:
    """Version 2 sums the outcomes that an INMF declares."""
    sums = {"infeasible": "infeasible_slots", "mode_changes": "mode_changes"}
    outcomes = tuple({"name": name, "total": body.get(old)} for name, old in sums.items())
    others = {key: value for key, value in body.items() if key not in sums.values()}
    reward = others.pop("reward_sum_j", None)
    return {**others, "reward_sum": reward, "outcomes": outcomes}


def _attributes_of_any(body: Body) -> Body:
    """Version 2 has workload and resources by INMF."""
    own = {
        "inmf": FIRST_INMF,
        "workload": body.get("workload_objects"),
        "workload_unit": "objects",
        "resources": body.get("bandwidth_hz"),
        "resources_unit": "Hz",
    }
    gone = {"workload_objects", "bandwidth_hz"}
    kept: Body = {key: value for key, value in body.items() if key not in gone}
    return {**kept, "inmfs": (own,)}


def _with(**fields: object) -> Upcaster:
    """The next version added fields, or allows more in those that it has."""

    def upcaster(body: Body) -> Body:
        added: Body = dict(fields.items())
        return {**body, **added}

    return upcaster


_INIT = {"parameters": "init"}
UPCASTERS: Mapping[str, Upcaster] = {
    "attributes-reported.v1": _attributes_of_any,
    "edge-status-reported.v1": _without_key,
    "gradients-computed.v1": _summed("gradients"),
    "gradients-computed.v2": _with(),
    "grant-renewed.v1": _unsigned_grant,
    "health-reported.v1": _without_peers,
    "individual-model-reported.v1": _with(evidence="emulated"),
    "meta-model-offered.v1": _summed("parameters"),
    "meta-model-offered.v2": _renamed("parameters", _INIT),
    "meta-round-started.v1": _summed("model"),
    "meta-round-started.v2": _renamed("model", _INIT),
    "model-dispatched.v1": _summed("parameters"),
    "model-dispatched.v2": _with(sampled=False, program=b""),
    "model-refused.v1": _with(),
    "performance-reported.v1": _performance_of_any,
    "registration-granted.v1": _unsigned_grant,
    "registration-granted.v2": _with(unknown_inmfs=()),
    "telemetry-reported.v1": _summed("slots"),
    "telemetry-reported.v2": _telemetry_of_one,
    "trajectories-reported.v1": _summed("slots"),
    "trajectories-reported.v2": _trajectories_of_any,
    "twin-placed.v1": _unsigned_grant,
    "twin-registered.v1": _unsigned_grant,
}
"""From a type to the body of its next version."""


def following(name: str) -> str:
    """The type of the next version: `x.v1` gives `x.v2`."""
    match = _TYPE.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no type of a message, such as health-reported.v2")
    return f"{match[1]}.v{int(match[2]) + 1}"


def newest(name: str) -> str:
    """The type that a chain of upcasters ends in; the same if there is none."""
    while name in UPCASTERS:
        name = following(name)
    return name


def upcast(name: str, body: object) -> object:
    """The body in the newest version; what is malformed is left for validation to refuse.

    Raises:
        ValueError: if arrays are not those whose digest an older version carries.
    """
    while name in UPCASTERS and isinstance(body, dict):
        body = UPCASTERS[name](body)
        name = following(name)
    return body
