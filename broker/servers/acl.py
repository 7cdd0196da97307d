"""Mosquitto's access rules, from the catalogue: who may write and read which topic.

A PLVN's user is its id and reaches its own branches only (`%u`). Edge servers are named, for they
must reach every PLVN; whose orders a PLVN obeys is therefore decided by its grant, not here. Ids of
PLVNs and edge servers must differ, and none may be `cloud`. Patterns hold for every user, so those
who are named are denied the branches that a PLVN of their name would have.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from twintier.protocol.catalogue import CATALOGUE, Role
from twintier.protocol.ids import EdgeId, check_level
from twintier.protocol.topics import DEFAULT_ROOT, prefix

Access = Literal["write", "read"]
CLOUD_USER = "cloud"
HEADER = "# Written from the catalogue; do not edit."


def access_rules(
    edges: Sequence[EdgeId], root: str = DEFAULT_ROOT, *, watchers: Sequence[str] = ()
) -> str:
    """The text of an `acl_file`.

    Args:
        edges: the edge servers.
        root: of the topics.
        watchers: users who may read everything; they write what every user may, refusals.

    Raises:
        InvalidIdError: if an id may not stand in a topic.
    """
    blocks = [HEADER, "\n".join(_lines("pattern", "plvn", "%u", root))]
    blocks += [_block(edge, _lines("topic", "edge", edge, root), root) for edge in edges]
    blocks.append(_block(CLOUD_USER, _lines("topic", "cloud", CLOUD_USER, root), root))
    blocks += [_block(watcher, [f"topic read {prefix(root)}#"], root) for watcher in watchers]
    return "\n\n".join(blocks) + "\n"


def _block(user: str, rules: Sequence[str], root: str) -> str:
    """The rules of a named user, who is no PLVN."""
    name = check_level(user)
    denied = [
        f"topic deny {prefix(root)}{branch}" for branch in (f"plvn/{name}/#", f"mon/plvn/{name}")
    ]
    return "\n".join([f"user {name}", *denied, *rules])


def _lines(keyword: str, role: Role, user: str, root: str) -> list[str]:
    rules = {
        f"{keyword} {access} {prefix(root)}{_filled(topic, role, user)}"
        for access, topic in _topics(role)
    }
    return sorted(rules)


def _topics(role: Role) -> Iterable[tuple[Access, str]]:
    for row in CATALOGUE:
        if role in row.publishers:
            yield "write", row.topic
        if role in row.subscribers:
            yield "read", row.topic


def _filled(topic: str, role: Role, user: str) -> str:
    """The topic with the user's own identity in its place, and `+` for those of others."""
    own = {f"{{{role}}}": user}
    if topic.startswith("mon/"):
        own = {"{role}": role, "{id}": user}
    return re.sub(r"{\w+}", lambda match: own.get(match[0], "+"), topic)
