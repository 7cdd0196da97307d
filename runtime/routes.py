"""What a role listens to, from the catalogue's subscribers."""

from dataclasses import replace

from twintier.protocol.address import Address, Branch
from twintier.protocol.catalogue import CATALOGUE, Role
from twintier.protocol.messages.base import Message
from twintier.runtime.effects import Subscribe


def routes_of(role: Role, own: Address) -> list[Subscribe]:
    """Every message that a role subscribes to, one route for each branch.

    Args:
        role: that listens.
        own: levels of topics that are its own; it listens to all values of the others.
    """
    ways: dict[Branch | None, set[type[Message]]] = {}
    for row in CATALOGUE:
        if role in row.subscribers and not row.on_demand:
            ways.setdefault(row.way, set()).add(row.message)
    return [
        Subscribe(tuple(sorted(messages, key=lambda m: m.__name__)), replace(own, branch=way))
        for way, messages in ways.items()
    ]
