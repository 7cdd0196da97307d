"""The catalogue's subscribers are true: what a role handles, subscribes to, and is said to read."""

import ast
from collections.abc import Iterable
from pathlib import Path

import pytest

from twintier.cloud_twin import routes as cloud
from twintier.edge_twin import routes as edge
from twintier.plvn_agent import routes as agent
from twintier.protocol import messages
from twintier.protocol.address import Branch
from twintier.protocol.catalogue import CATALOGUE, Role, row_on
from twintier.protocol.ids import EdgeId, PlvnId
from twintier.protocol.messages import (
    AgentStatusReported,
    ChunksRequested,
    CloudStatusReported,
    EdgeStatusReported,
)
from twintier.protocol.messages.base import Message
from twintier.runtime.effects import Subscribe

ROOT = Path(__file__).parents[2]
Way = tuple[type[Message], Branch | None]
ROUTES: dict[Role, list[Subscribe]] = {
    "cloud": cloud.routes(),
    "edge": [*edge.routes(EdgeId("e1")), edge.plvn_route(PlvnId("p1"))],
    "plvn": agent.routes(PlvnId("p1")),
}
FOLDERS: dict[Role, str] = {"cloud": "cloud_twin", "edge": "edge_twin", "plvn": "plvn_agent"}
FOR_WATCHERS: dict[Role, frozenset[type[Message]]] = {
    "cloud": cloud.FOR_WATCHERS,
    "edge": edge.FOR_WATCHERS,
    "plvn": frozenset(),
}
FOR_RUNTIME: dict[Role, frozenset[type[Message]]] = {
    # chunks to serve, and statuses of another process that says it is this one
    "cloud": frozenset({ChunksRequested, CloudStatusReported}),
    "edge": frozenset({ChunksRequested, EdgeStatusReported}),
    "plvn": frozenset({ChunksRequested, AgentStatusReported}),
}


def subscribed(routes: Iterable[Subscribe]) -> set[Way]:
    """Message classes with the branch that each is heard on."""
    return {(m, row_on(m, route.to.branch).way) for route in routes for m in route.messages}


def handled(role: Role) -> set[type[Message]]:
    """Message classes that a module of the role matches on."""
    names = {
        node.cls.id
        for path in (ROOT / FOLDERS[role]).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.MatchClass) and isinstance(node.cls, ast.Name)
    }
    known = {name: getattr(messages, name) for name in messages.__all__}
    return {known[n] for n in names & known.keys() if issubclass(known[n], Message)}


@pytest.mark.parametrize("role", FOLDERS)
def test_a_role_subscribes_to_what_the_catalogue_says(role: Role) -> None:
    rows = [row for row in CATALOGUE if role in row.subscribers and not row.on_demand]
    assert subscribed(ROUTES[role]) == {(row.message, row.way) for row in rows}


@pytest.mark.parametrize("role", FOLDERS)
def test_a_role_handles_what_it_subscribes_to(role: Role) -> None:
    unread = FOR_WATCHERS[role]
    assert not handled(role) & unread
    expected = {message for message, _ in subscribed(ROUTES[role])}
    assert handled(role) | unread | FOR_RUNTIME[role] == expected


def test_a_route_names_the_own_branch_and_nobody_else_s() -> None:
    assert [(route.to.plvn, route.to.branch) for route in ROUTES["plvn"]] == [
        ("p1", "plvn/up"),
        ("p1", None),
        ("p1", "plvn/down"),
    ]
    assert {route.to.edge for route in edge.routes(EdgeId("e1"))} == {"e1"}
    assert edge.plvn_route(PlvnId("p2")).to.plvn == "p2"
