"""Topics of acknowledgements, refusals and chunks: on a message's branch, or the opposite one."""

from typing import Literal

from twintier.protocol.address import Address, Branch
from twintier.protocol.catalogue import FLOWS, Role
from twintier.protocol.ids import EdgeId, PlvnId
from twintier.protocol.topics import prefix

_OPPOSITE: dict[Branch, Branch] = {
    "plvn/up": "plvn/down",
    "plvn/down": "plvn/up",
    "edge/up": "edge/down",
    "edge/down": "edge/up",
}


def own_branch(topic: str, root: str) -> Address | None:
    """The branch that a topic is on; None for those that are on none, such as `cloud/status`."""
    levels = topic[len(prefix(root)) :].split("/")
    if len(levels) < 3:
        return None
    role, name, way = levels[:3]
    for branch in FLOWS:
        if branch == f"{role}/{way}":
            return _at(branch, name)
    return None


def reply_address(topic: str, root: str, role: Role) -> Address | None:
    """The branch opposite to that of a topic; None if there is none, or `role` may not write there.

    Raises:
        protocol.errors.InvalidIdError: if the root is none.
    """
    own = own_branch(topic, root)
    if own is None or own.branch is None:
        return None
    opposite = _OPPOSITE[own.branch]
    return _at(opposite, own.plvn or own.edge or "") if role in FLOWS[opposite][0] else None


def may_be_of(src: str, topic: str, root: str) -> bool:
    """Whether a message on a topic can be of this source."""
    own = own_branch(topic, root)
    if own is None or own.branch is None:
        return False
    owner = f"plvn:{own.plvn}" if own.plvn else f"edge:{own.edge}"
    up = own.branch.endswith("/up")
    return src == owner if up else src.partition(":")[0] in FLOWS[own.branch][0]


def source_address(src: str, way: Literal["up", "down"]) -> Address:
    """The branch of a PLVN or edge server by its source, `plvn:p1`."""
    role, _, name = src.partition(":")
    branch: Branch = "plvn/up" if role == "plvn" else "edge/up"
    return _at(branch if way == "up" else _OPPOSITE[branch], name)


def _at(branch: Branch, name: str) -> Address:
    if branch.startswith("plvn/"):
        return Address(plvn=PlvnId(name), branch=branch)
    return Address(edge=EdgeId(name), branch=branch)
