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


UPCASTERS: Mapping[str, Upcaster] = {
    "edge-status-reported.v1": _without_key,
    "gradients-computed.v1": _summed("gradients"),
    "grant-renewed.v1": _unsigned_grant,
    "health-reported.v1": _without_peers,
    "meta-model-offered.v1": _summed("parameters"),
    "meta-round-started.v1": _summed("model"),
    "model-dispatched.v1": _summed("parameters"),
    "registration-granted.v1": _unsigned_grant,
    "telemetry-reported.v1": _summed("slots"),
    "trajectories-reported.v1": _summed("slots"),
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
