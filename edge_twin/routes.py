"""What an edge server listens to, from the catalogue: its own branch, the library, its PLVNs'."""

from twintier.protocol.address import Address
from twintier.protocol.ids import EdgeId, PlvnId
from twintier.protocol.messages import PerformanceReported
from twintier.protocol.messages.base import Message
from twintier.runtime.core import Received
from twintier.runtime.effects import Subscribe
from twintier.runtime.routes import routes_of

FOR_WATCHERS: frozenset[type[Message]] = frozenset({PerformanceReported})
"""Taken and acknowledged, but of use to those who watch only: a twin reads the trajectories."""


def routes(edge: EdgeId) -> list[Subscribe]:
    """Subscriptions of an edge server before it has any twin."""
    return [r for r in routes_of("edge", Address(edge=edge)) if r.to.branch != "plvn/up"]


def plvn_route(plvn: PlvnId) -> Subscribe:
    """What it listens to on the topics of a PLVN that it owns; subscribed as they come."""
    (route,) = [r for r in routes_of("edge", Address(plvn=plvn)) if r.to.branch == "plvn/up"]
    return route


def is_of_cloud_twin(received: Received) -> bool:
    """Whether it came on our `down` branch, where only the cloud twin may write."""
    return received.address.branch == "edge/down" and received.envelope.role == "cloud"
