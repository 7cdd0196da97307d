"""What an agent listens to, from the catalogue: its own branch, and the cloud twin's phase."""

from twintier.protocol.address import Address
from twintier.protocol.ids import PlvnId
from twintier.runtime.effects import Subscribe
from twintier.runtime.routes import routes_of


def routes(plvn: PlvnId) -> list[Subscribe]:
    """Subscriptions of the agent of a PLVN."""
    return routes_of("plvn", Address(plvn=plvn))
