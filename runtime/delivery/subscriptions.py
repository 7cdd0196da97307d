"""What one process listens to: the message classes that its core has asked for, and since when."""

from collections.abc import Sequence

from twintier.protocol.messages.base import Message
from twintier.protocol.topics import prefix, subscriptions
from twintier.runtime.delivery.ledger import Ledger
from twintier.runtime.delivery.outgoing import Listening
from twintier.runtime.effects import Subscribe, Unsubscribe


class Subscriptions:
    """Of one process."""

    def __init__(self, root: str, ledger: Ledger, routes: Sequence[Subscribe]) -> None:
        self._root = root
        self._ledger = ledger
        self._wanted: set[type[Message]] = set()
        self.initial = [self.changed(route) for route in routes]
        """What is listened to from the start."""

    def changed(self, effect: Subscribe | Unsubscribe) -> Listening:
        """The filters of an effect.

        A class once asked for stays known: another address may still bring it.
        """
        self._wanted |= set(effect.messages)
        filters = subscriptions(effect.messages, effect.to, self._root)
        return Listening(tuple(filters), isinstance(effect, Subscribe))

    def includes(self, message: type[Message]) -> bool:
        """Whether the core has asked for a class."""
        return message in self._wanted

    def in_force(self, listening: Listening, now: float) -> None:
        """The broker has acknowledged a change of filters."""
        start = len(prefix(self._root))
        filters = [topic_filter[start:] for topic_filter in listening.filters]
        if listening.on:
            self._ledger.subscribed(filters, now)
        else:
            self._ledger.unsubscribed(filters, now)
