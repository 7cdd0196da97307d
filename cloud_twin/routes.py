"""What the cloud twin listens to, from the catalogue."""

from twintier.protocol.address import Address
from twintier.protocol.messages import (
    AgentStatusReported,
    IndividualModelReported,
    MetaProgressReported,
    RetrainTriggered,
)
from twintier.protocol.messages.base import Message
from twintier.runtime.effects import Subscribe
from twintier.runtime.routes import routes_of

FOR_WATCHERS: frozenset[type[Message]] = frozenset(
    {AgentStatusReported, IndividualModelReported, MetaProgressReported, RetrainTriggered}
)
"""Taken, and acknowledged where they are uploads, but of use to those who watch only."""


def routes() -> list[Subscribe]:
    """Subscriptions of the cloud twin."""
    return routes_of("cloud", Address())
