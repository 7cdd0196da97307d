"""What a core answers to a message that it cannot accept, in words and counted by code. No I/O."""

from twintier.protocol.address import Address
from twintier.protocol.errors import RefusalCode
from twintier.protocol.ids import EdgeId, PlvnId
from twintier.protocol.messages import MessageReturned
from twintier.runtime.core import Received
from twintier.runtime.effects import Count, Effect, Publish

MAX_REASON = 512


def refused(received: Received, code: RefusalCode, reason: str) -> list[Effect]:
    """A message goes back to the PLVN or edge server that sent it.

    Args:
        received: the message.
        code: counted as `refused.CODE`.
        reason: names the value, the limit and the next step.
    """
    envelope = received.envelope
    message = MessageReturned(
        type=envelope.type,
        boot=envelope.boot,
        stream=envelope.stream,
        seq=envelope.seq,
        code=code,
        reason=reason[:MAX_REASON],
    )
    to = _sender_of(received)
    answer = [] if to is None else [Publish(message, to, fence=envelope.fence, cid=envelope.id)]
    return [*answer, Count(f"refused.{code}")]


def _sender_of(received: Received) -> Address | None:
    """Where its sender listens; None for the cloud twin, to whom nobody answers so."""
    envelope = received.envelope
    if envelope.role == "plvn":
        return Address(plvn=PlvnId(envelope.sender), branch="plvn/down")
    if envelope.role == "edge":
        return Address(edge=EdgeId(envelope.sender), branch="edge/down")
    return None
