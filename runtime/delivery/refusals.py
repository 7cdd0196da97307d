"""What could not be accepted: counted, reported to those who watch, and told to its sender."""

from collections.abc import Callable

import structlog

from twintier.broker.bus import Delivery
from twintier.protocol.catalogue import Role
from twintier.protocol.envelope import Envelope
from twintier.protocol.messages import MessageRefused, MessageReturned
from twintier.runtime.delivery.branches import may_be_of, reply_address
from twintier.runtime.delivery.meter import Meter
from twintier.runtime.effects import Publish

log = structlog.get_logger()


class Refusals:
    """Of one process; reports are bounded in number, counts are not."""

    def __init__(
        self, role: Role, root: str, meter: Meter, per_s: float, publish: Callable[[Publish], None]
    ) -> None:
        self._role: Role = role
        self._root = root
        self._meter = meter
        self._left = self._per_s = per_s
        self._publish = publish

    def allow(self, seconds: float) -> None:
        """So much time has passed: as many may be reported again."""
        self._left = self._per_s * seconds

    def refuse(
        self,
        code: str,
        reason: str,
        delivery: Delivery | None,
        envelope: Envelope | None = None,
    ) -> None:
        """Count and report a refusal; with the envelope, its sender is told as well."""
        self._meter.refuse(code)
        if self._left < 1:
            return
        self._left -= 1
        topic = "" if delivery is None else delivery.topic
        size = 0 if delivery is None else len(delivery.payload)
        log.warning("refused", code=code, reason=reason, topic=topic, size=size)
        report = MessageRefused(
            role=self._role, topic=topic[:256], code=code, reason=reason[:512], size=size
        )
        self._publish(Publish(report))
        answer = None if envelope is None else self._returned(code, reason, topic, envelope)
        if answer is not None:
            self._publish(answer)

    def _returned(self, code: str, reason: str, topic: str, envelope: Envelope) -> Publish | None:
        """The refusal for the sender; none for what is a refusal, or from a wrong source."""
        to = reply_address(topic, self._root, self._role)
        if to is None or envelope.type.startswith("message-returned."):
            return None
        if not may_be_of(envelope.src, topic, self._root):
            return None
        message = MessageReturned(
            type=envelope.type,
            boot=envelope.boot,
            stream=envelope.stream,
            seq=envelope.seq,
            code=code,
            reason=reason[:512],
        )
        return Publish(message, to, fence=envelope.fence, cid=envelope.id)
