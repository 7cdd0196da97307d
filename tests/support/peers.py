"""Messages as other processes would send them, made without a runtime."""

from dataclasses import dataclass, field

from twintier.protocol.address import Address
from twintier.protocol.catalogue import row_of
from twintier.protocol.codec import Decoded, decode, encode
from twintier.protocol.envelope import Envelope
from twintier.protocol.messages.base import Message
from twintier.protocol.topics import stream_for, topic_for


@dataclass
class Peer:
    """One process of an identity, with a clock of its own."""

    src: str
    boot: str
    clock_ahead_s: float = 0.0
    seqs: dict[str, int] = field(default_factory=dict)

    def say(self, message: Message, address: Address, now: float) -> tuple[str, bytes]:
        """Topic and bytes of a message."""
        topic = topic_for(type(message), address)
        self.seqs[topic] = self.seqs.get(topic, 0) + 1
        envelope = Envelope(
            type=row_of(type(message)).name,
            id=bytes(16),
            src=self.src,
            boot=self.boot,
            stream=stream_for(type(message), address),
            seq=self.seqs[topic],
            ts_ns=int((now + self.clock_ahead_s) * 1e9),
        )
        return topic, encode(envelope, message)

    def decoded(self, message: Message, address: Address, now: float) -> tuple[Decoded, str]:
        """A message as a receiver has it, and its topic."""
        topic, payload = self.say(message, address, now)
        return decode(payload, topic), topic
