"""Bodies of older versions, brought up to the one that this release speaks, a version at a time.

A release reads every version that has a chain here; `tests/wire` keeps the bytes of each.
"""

import re
from collections.abc import Callable, Mapping

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


UPCASTERS: Mapping[str, Upcaster] = {
    "edge-status-reported.v1": _without_key,
    "grant-renewed.v1": _unsigned_grant,
    "health-reported.v1": _without_peers,
    "registration-granted.v1": _unsigned_grant,
    "twin-placed.v1": _unsigned_grant,
    "twin-registered.v1": _unsigned_grant,
}
"""From a type to the body of its next version."""


def following(name: str) -> str:
    """The type of the next version: `x.v1` gives `x.v2`."""
    match = _TYPE.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no type of a message, such as telemetry-reported.v1")
    return f"{match[1]}.v{int(match[2]) + 1}"


def newest(name: str) -> str:
    """The type that a chain of upcasters ends in; the same if there is none."""
    while name in UPCASTERS:
        name = following(name)
    return name


def upcast(name: str, body: object) -> object:
    """The body in the newest version; what is no map is left for validation to refuse."""
    while name in UPCASTERS and isinstance(body, dict):
        body = UPCASTERS[name](body)
        name = following(name)
    return body
