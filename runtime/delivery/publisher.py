"""The way out of one process: a message encoded, signed, noted and queued."""

from collections.abc import Sequence
from functools import partial

from twintier.broker.clock import Clock
from twintier.protocol.errors import LocalProtocolError
from twintier.runtime.delivery.encoder import Encoder
from twintier.runtime.delivery.large_messages import LargeSender
from twintier.runtime.delivery.ledger import Ledger
from twintier.runtime.delivery.meter import Meter
from twintier.runtime.delivery.outgoing import Outgoing
from twintier.runtime.delivery.presence import Presence
from twintier.runtime.delivery.signer import Signer
from twintier.runtime.effects import Publish
from twintier.runtime.saving import Saving


class Publisher:
    """Messages of the core, and those of delivery itself."""

    def __init__(
        self,
        encoder: Encoder,
        signer: Signer,
        sender: LargeSender,
        clock: Clock,
        *,
        ledger: Ledger,
        meter: Meter,
        presence: Presence,
        saving: Saving,
    ) -> None:
        self._encoder = encoder
        self._signer = signer
        self._sender = sender
        self._clock = clock
        self._ledger = ledger
        self._meter = meter
        self._presence = presence
        self._saving = saving
        self.quiet = False
        """What is sent from now on is not expected to arrive, so the ledger leaves it out."""

    def encode(self, effect: Publish, now: float, *, stream: str | None = None) -> Outgoing:
        """The message with its place in its stream; `post` sends it.

        Raises:
            LocalProtocolError: if the address lacks a level, or the message is too large.
        """
        granted = self._signer.granted(effect)
        return self._signer.signed(granted, self._encoder.encode(granted, now, stream=stream))

    def encode_all(self, effects: Sequence[Publish], now: float) -> list[Outgoing]:
        """All of the messages; `post` sends them, in this order.

        Raises:
            LocalProtocolError: see `encode`; then no number was given to any of them.
        """
        encoded: list[Outgoing] = []
        try:
            for effect in effects:
                encoded.append(self.encode(effect, now))  # noqa: PERF401  # kept if one fails
        except LocalProtocolError:
            self._encoder.take_back(encoded)
            raise
        return encoded

    def post(self, effect: Publish, outgoing: Outgoing) -> None:
        """Note and queue a message; what it follows from is durable."""
        now = self._clock.now()
        if effect.sim_time_s is not None:
            self._meter.reached(effect.sim_time_s)
        if outgoing.qos and not outgoing.retain and not self.quiet:
            self._ledger.sent(outgoing.stream, outgoing.seq, now, outgoing.ttl_s)
        self._presence.said(effect)
        self._sender.post(outgoing)

    def publish(self, effect: Publish) -> None:
        """Send a message that has no records of its own to wait for, but overtakes none."""
        outgoing = self.encode(effect, self._clock.now())
        self._saving.then(partial(self.post, effect, outgoing))
